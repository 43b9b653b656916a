#include "layers/routed_adapter.h"

#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "autograd/ops/softmax.h"

namespace dehvf {

void RoutedAdapter::describe(Describer& describer) {
  describer.child("down", down);
  describer.child("up.0", up_[0]);
  describer.child("up.1", up_[1]);
  describer.child("router", router);
}

Variable RoutedAdapter::weights(const Variable& x, double temperature) const {
  return softmax(scale(router(x), 1 / temperature));
}

Variable RoutedAdapter::up(const Variable& low, const Variable& weights) const {
  const int64_t rows = low.shape()[0], in = dim_ / groups_, out = width_ / groups_;
  const auto weighted = [&](int64_t b) {
    return multiply_column(low, reshape(slice_columns(weights, b, b + 1), {rows}));
  };
  const Variable both[] = {weighted(0), weighted(1)};
  std::vector<Variable> groups;
  for (int64_t g = 0; g < groups_; ++g) {
    const Variable from[] = {slice_columns(both[0], g * in, (g + 1) * in),
                             slice_columns(both[1], g * in, (g + 1) * in)},
                   ways[] = {slice_rows(up_[0].weight, g * out, (g + 1) * out),
                             slice_rows(up_[1].weight, g * out, (g + 1) * out)};
    groups.push_back(linear(concat_columns(from), concat_columns(ways)));
  }
  const Variable biases[] = {reshape(up_[0].bias, {1, width_}), reshape(up_[1].bias, {1, width_})};
  return add(concat_columns(groups), matmul(weights, cast(concat_rows(biases), weights.dtype())));
}

}  // namespace dehvf
