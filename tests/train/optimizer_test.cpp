// What a step knows of its gradients; the update itself is an op case.
#include "core/ops/optimizer.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "core/random.h"

namespace dehvf {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(SquaredNorm, IsTheSumOfSquaresInDouble) {
  for (int64_t count : {0, 1, 511, 513, 40009}) {
    const Tensor x = random_normal({count}, 3, uint64_t(count));
    double sum = 0;
    for (float v : x.span<float>()) sum += double(v) * v;
    EXPECT_NEAR((squared_norm(x)), sum, 1e-15 * double(count) * sum);
  }
  EXPECT_DOUBLE_EQ((squared_norm(full({3}, 1e30))), 3 * std::pow(double(1e30f), 2));  // beyond f32
}

TEST(FinishGradients, FindsTheFirstThatIsNotFinite) {
  for (double bad : {kInf, -kInf, kNan}) {
    const Tensor x = random_normal({50021}, 1, 5), state = step_state(kCpu);
    const auto finished = [&] {
      finish_gradients(x, {}, 0, state);
      return read_step(state);
    };
    EXPECT_EQ(finished().not_finite, -1);
    EXPECT_EQ(finished().skip, 0);
    for (int64_t at : {50020, 16384, 16383, 700, 0}) {
      x.data<float>()[at] = float(bad);
      EXPECT_EQ(finished().not_finite, at);
      EXPECT_EQ(finished().skip, 1);
    }
  }
}

TEST(FinishGradients, SkipsForTheLossAlone) {
  const Tensor state = step_state(kCpu);
  for (double loss : {2.0, kNan}) add_loss(full({}, loss), state);
  finish_gradients(full({3}, 1), {}, 0, state);
  EXPECT_EQ(read_step(state).skip, 1);
  EXPECT_EQ(read_step(state).not_finite, -1);
}

TEST(FinishGradients, ClipsAndCorrects) {
  const Tensor state = step_state(kCpu), gradient = full({16}, 3);
  for (double clip : {0.0, 5.0, 12.0, 13.0}) {
    write_step({.updates = 2}, state);
    finish_gradients(gradient, {.beta1 = 0.5, .beta2 = 0.75}, clip, state);
    const StepState got = read_step(state);
    EXPECT_EQ(got.gradient_norm, 12);
    EXPECT_EQ(got.clip_factor, clip == 5 ? 5.0 / 12 : 1) << clip;
    EXPECT_EQ(got.first_scale, 1 / 0.875);
    EXPECT_EQ(got.second_scale, 1 / (1 - 0.421875));
  }
}

AdamWBuffers buffers_of(int64_t count, double gradient) {
  return {full({count}, 1), full({count}, gradient),   full({count}, 2),
          full({count}, 3), zeros({count}, DType::u8), {}};
}

TEST(Adamw, ASkippedStepChangesNothing) {
  const AdamWBuffers buffers = buffers_of(7, kNan);
  const Tensor state = step_state(kCpu);
  write_step({.learning_rate = 1, .skip = 1}, state);
  adamw(buffers, {.weight_decay = 0.5}, state);
  EXPECT_THAT(buffers.value.span<float>(), testing::Each(1));
  EXPECT_THAT(buffers.first_moment.span<float>(), testing::Each(2));
  EXPECT_THAT(buffers.second_moment.span<float>(), testing::Each(3));
}

TEST(Adamw, RefusesWhatDoesNotFit) {
  const Tensor state = step_state(kCpu);
  AdamWBuffers buffers = buffers_of(4, 0);
  buffers.gradient = zeros({3});
  EXPECT_THROW(adamw(buffers, {}, state), ShapeError);
  buffers = buffers_of(4, 0);
  buffers.second_moment = zeros({4}, DType::f64);
  EXPECT_THROW(adamw(buffers, {}, state), DTypeError);
  buffers = buffers_of(4, 0);
  buffers.decay = zeros({4});
  EXPECT_THROW(adamw(buffers, {}, state), DTypeError);
  buffers = buffers_of(4, 0);
  buffers.working = zeros({4});
  EXPECT_THROW(adamw(buffers, {}, state), DTypeError);
  buffers = buffers_of(4, 0);
  EXPECT_THROW(adamw(buffers, {}, zeros({4}, DType::u8)), ShapeError);
  EXPECT_THROW(squared_norm(zeros({4}, DType::i32)), DTypeError);
}

}  // namespace
}  // namespace dehvf
