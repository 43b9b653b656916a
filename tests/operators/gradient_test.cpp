// Every registered operator: its gradients, and that it does not matter how they are kept.
#include <gtest/gtest.h>

#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"
#include "core/random.h"
#include "operators/tiny.h"

namespace dehvf {
namespace {

class OperatorGradients : public testing::TestWithParam<tiny::Case> {};
INSTANTIATE_TEST_SUITE_P(All, OperatorGradients, testing::ValuesIn(tiny::all_cases()));

const ForwardOptions kTraining{.training = true, .seed = 3, .step = 5};

double dot(const Tensor& a, const Tensor& b) { return item(sum_all(multiply(a, b))); }

using Directions = std::map<std::string, Tensor>;

// The slope of the loss along `directions` by the difference of fourth order.
double slope(FusedModel& model, const tiny::Input& in, const Directions& directions) {
  const auto loss_at = [&](double step) {
    std::map<std::string, Tensor> before;
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
void expect_slope(FusedModel& model, const tiny::Input& in, const Directions& directions,
                  const std::map<std::string, Tensor>& grads) {
  double expected = 0;
  for (const auto& [path, direction] : directions)
    if (const auto grad = grads.find(path); grad != grads.end()) expected += dot(grad->second, direction);
  EXPECT_NEAR(slope(model, in, directions), expected, 1e-8 + 1e-6 * std::fabs(expected));
}

TEST_P(OperatorGradients, AreThoseOfDifferences) {
  FusedModel model = tiny::make(GetParam(), DType::f64, 0.3);
  const tiny::Input in = tiny::input(DType::f64);
  const auto grads = tiny::gradients(model, in, kTraining);
  for (uint64_t round = 0; round < 3; ++round) {
    Directions all;
    for (const auto& [path, parameter] : trainable_of(model))
      all[path] = direction_for(*parameter, random_key({round, all.size()}));
    expect_slope(model, in, all, grads);
  }
  for (const auto& [path, parameter] : trainable_of(model)) {
    SCOPED_TRACE(path);
    expect_slope(model, in, {{path, direction_for(*parameter, 9)}}, grads);
  }
}

TEST_P(OperatorGradients, AreTheSameBitsKeptOrRecomputed) {
  FusedModel model = tiny::make(GetParam(), DType::f32, 0.3);
  const tiny::Input in = tiny::input(DType::f32);
  ForwardOptions options = kTraining;
  const Tensor loss = tiny::mean_loss(model, in, options).value();
  const auto kept = tiny::gradients(model, in, options);
  options.mode = SegmentMode::recompute;
  EXPECT_EQ(item(tiny::mean_loss(model, in, options).value()), item(loss));
  const auto again = tiny::gradients(model, in, options);
  for (const auto& [path, grad] : kept) {
    ASSERT_TRUE(again.contains(path)) << path;
    EXPECT_EQ(std::memcmp(grad.raw(), again.at(path).raw(), grad.bytes()), 0) << path;
  }
  for (const auto& [path, grad] : again)
    if (!kept.contains(path)) EXPECT_EQ(dot(grad, grad), 0) << path;
}

TEST_P(OperatorGradients, SomethingIsTrained) {
  FusedModel model = tiny::make(GetParam(), DType::f64);
  const auto grads = tiny::gradients(model, tiny::input(DType::f64));
  int64_t live = 0;
  for (const auto& [path, grad] : grads) live += dot(grad, grad) > 0 ? grad.count() : 0;
  EXPECT_EQ(live > 0, !trainable_of(model).empty());
  EXPECT_GE(model.cost().live, live);
}

}  // namespace
}  // namespace dehvf
