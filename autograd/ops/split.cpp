#include "autograd/ops/split.h"

namespace dehvf {

std::vector<Variable> split(const Variable& x) {
  // The pieces write into `gradient` and pass on nothing; the joint, recorded before them and so visited
  // after them, hands it to x.
  const auto gradient = std::make_shared<Tensor>();
  const Tensor value = x.value();
  const Variable joint =
      record("split", value, {x}, [gradient](const Tensor&, const Wanted&) { return Grads{*gradient}; });
  std::vector<Variable> pieces;
  for (int64_t i = 0; i < value.size(0); ++i)
    pieces.push_back(record(
        "split_piece", value[i], {joint},
        [gradient, i, shape = value.shape()](const Tensor& dy, const Wanted&) {
          if (!gradient->defined()) *gradient = zeros(shape, dy.dtype(), dy.device());
          copy_into(dy, (*gradient)[i]);
          return Grads(1);
        },
        true));
  return pieces;
}

}  // namespace dehvf
