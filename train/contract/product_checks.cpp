#include "core/kernel.h"
#include "train/contract/lists.h"
#include "train/contract/step_products.h"

namespace dehvf::contract {
namespace {

ProductCounts counts_of(const Trace& trace) {
  ProductCounts counts;
  for (const auto& p : trace.products) counts[{p.m, p.n, p.k}] += int(p.batch);
  return counts;
}

void frozen_weights(const tiny::Case& c, Verdict& verdict) {
  FusedModel model = tiny::make(c, DType::f32, 0.1);
  for (SegmentMode mode : {SegmentMode::keep, SegmentMode::recompute})
    for (const auto& [sizes, count] : weight_gradients(model, step_products(model, mode).backward))
      verdict.expect(false, count, " products of the shape of a frozen weight's gradient, ", sizes[0], " x ",
                     sizes[1]);
}

}  // namespace

tiny::Input product_input() {
  tiny::Input in = tiny::input(DType::f32);
  for (size_t sample : {0, 1, 1}) {
    in.tokens[sample].push_back(2);
    in.labels[sample].push_back(2);
  }
  return in;
}

StepProducts step_products(const FusedModel& model, SegmentMode mode) {
  StepProducts step;
  Variable loss;
  {
    const Trace trace;
    const ForwardOptions options{.training = true, .seed = 3, .mode = mode};
    loss = tiny::mean_loss(model, product_input(), options);
    step.forward = counts_of(trace);
  }
  const Trace trace;
  if (loss.wants_grad()) backward(loss);
  step.backward = counts_of(trace);
  return step;
}

std::set<std::pair<int64_t, int64_t>> matrices(const std::vector<NamedParameter>& parameters) {
  std::set<std::pair<int64_t, int64_t>> shapes;
  for (const auto& [path, parameter] : parameters)
    if (parameter->shape().rank() == 2) shapes.insert({parameter->shape()[0], parameter->shape()[1]});
  return shapes;
}

// No number of rows in the step is such an `out`.
ProductCounts weight_gradients(FusedModel& model, const ProductCounts& backward) {
  auto frozen = matrices(parameters_of(model.llama()));
  frozen.merge(matrices(parameters_of(model.tower())));
  const auto trained = matrices(parameters_of(model));
  ProductCounts found;
  for (const auto& [sizes, count] : backward)
    if (frozen.contains({sizes[0], sizes[1]}) && !trained.contains({sizes[0], sizes[1]}))
      found[sizes] = count;
  return found;
}

std::vector<Check> product_checks() {
  return {{"frozen_weights", "no gradient of a frozen weight is ever formed", frozen_weights}};
}

}  // namespace dehvf::contract
