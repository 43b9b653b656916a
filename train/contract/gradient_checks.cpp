// The gradients of an operator, and that it does not matter how they are kept.
#include <cmath>

#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"
#include "core/random.h"
#include "train/contract/lists.h"

namespace dehvf::contract {
namespace {

using Tensors = std::map<std::string, Tensor>;

double dot(const Tensor& a, const Tensor& b) { return item(sum_all(multiply(a, b))); }

// The slope of the loss along `directions` by the difference of fourth order.
double slope(FusedModel& model, const tiny::Input& in, const Tensors& directions) {
  const auto loss_at = [&](double step) {
    Tensors before;
    for (const auto& [path, parameter] : trainable_of(model))
      if (const auto found = directions.find(path); found != directions.end()) {
        before[path] = parameter->value();
        parameter->variable().set_value(add(before[path], scale(found->second, step)));
      }
    const NoGrad no_grad;
    const double loss = item(tiny::mean_loss(model, in, kTraining).value());
    for (const auto& [path, parameter] : trainable_of(model))
      if (const auto found = before.find(path); found != before.end())
        parameter->variable().set_value(found->second);
    return loss;
  };
  const double h = 2e-5;
  return (8 * (loss_at(h) - loss_at(-h)) - (loss_at(2 * h) - loss_at(-2 * h))) / (12 * h);
}

Tensor direction_for(const Parameter& parameter, uint64_t key) {
  const Tensor d = random_normal(parameter.shape(), 1, key, DType::f64);
  return scale(d, 1 / std::sqrt(dot(d, d)));
}

// Differences of fourth order leave h^4 times a fifth derivative and rounding / h: both below 1e-9 here.
void expect_slope(Verdict& verdict, FusedModel& model, const tiny::Input& in, const Tensors& directions,
                  const Tensors& grads, const std::string& what) {
  double wanted = 0;
  for (const auto& [path, direction] : directions)
    if (const auto grad = grads.find(path); grad != grads.end()) wanted += dot(grad->second, direction);
  const double found = slope(model, in, directions);
  verdict.expect(std::fabs(found - wanted) <= 1e-8 + 1e-6 * std::fabs(wanted), what, ": the loss rises by ",
                 found, " along a direction where its gradient says ", wanted);
}

void differences(const tiny::Case& c, Verdict& verdict) {
  FusedModel model = tiny::make(c, DType::f64, 0.3);
  const tiny::Input in = tiny::input(DType::f64);
  const auto grads = tiny::gradients(model, in, kTraining);
  for (uint64_t round = 0; round < 3; ++round) {
    Tensors all;
    for (const auto& [path, parameter] : trainable_of(model))
      all[path] = direction_for(*parameter, random_key({round, all.size()}));
    expect_slope(verdict, model, in, all, grads, "all parameters");
  }
  for (const auto& [path, parameter] : trainable_of(model))
    expect_slope(verdict, model, in, {{path, direction_for(*parameter, 9)}}, grads, path);
}

void recomputed(const tiny::Case& c, Verdict& verdict) {
  FusedModel model = tiny::make(c, DType::f32, 0.3);
  const tiny::Input in = tiny::input(DType::f32);
  ForwardOptions options = kTraining;
  const Tensor loss = tiny::mean_loss(model, in, options).value();
  const auto kept = tiny::gradients(model, in, options);
  options.mode = SegmentMode::recompute;
  verdict.expect(same_bits(tiny::mean_loss(model, in, options).value(), loss), "another loss");
  const auto again = tiny::gradients(model, in, options);
  for (const auto& [path, grad] : kept)
    verdict.expect(again.contains(path) && same_bits(grad, again.at(path)), path, ": other bits");
  for (const auto& [path, grad] : again)
    verdict.expect(kept.contains(path) || norm(grad) == 0, path, ": a gradient only when recomputed");
}

void live_parameters(const tiny::Case& c, Verdict& verdict) {
  FusedModel model = tiny::make(c, DType::f64);
  int64_t reached = 0, trained = 0;
  for (const auto& [path, grad] : tiny::gradients(model, tiny::input(DType::f64)))
    reached += norm(grad) > 0 ? grad.count() : 0;
  for (const auto& [path, parameter] : trainable_of(model)) trained += parameter->shape().count();
  verdict.expect((reached > 0) == (trained > 0), "no parameter gets a gradient");
  const int64_t live = model.cost().live;
  verdict.expect(reached <= live && live <= trained, "cost() says ", live,
                 " live parameters; gradients reach ", reached, ", there are ", trained);
}

}  // namespace

std::vector<Check> gradient_checks() {
  return {{"gradients", "every gradient is what differences of the loss say, dropout included", differences},
          {"recomputed", "blocks run again in the backward pass give the bits of blocks that were kept",
           recomputed},
          {"live_parameters", "something is trained, and cost() counts it", live_parameters}};
}

}  // namespace dehvf::contract
