// Norm and non-finite search; the update itself is an op case.
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

TEST(FirstNonFinite, FindsTheFirstOfSeveral) {
  for (double bad : {kInf, -kInf, kNan}) {
    const Tensor x = random_normal({50021}, 1, 5);
    const auto index = [&] { return first_non_finite(x); };
    EXPECT_EQ(index(), -1);
    for (int64_t at : {50020, 16384, 16383, 700, 0}) {
      x.data<float>()[at] = float(bad);
      EXPECT_EQ(index(), at);
    }
  }
}

AdamWBuffers buffers_of(int64_t count, double gradient) {
  return {full({count}, 1), full({count}, gradient), full({count}, 2), full({count}, 3),
          zeros({count}, DType::u8)};
}

TEST(Adamw, ASkippedStepChangesNothing) {
  const AdamWBuffers buffers = buffers_of(7, kNan);
  adamw(buffers, {.weight_decay = 0.5}, {.step = 1, .learning_rate = 1, .skip = true});
  EXPECT_THAT(buffers.value.span<float>(), testing::Each(1));
  EXPECT_THAT(buffers.first_moment.span<float>(), testing::Each(2));
  EXPECT_THAT(buffers.second_moment.span<float>(), testing::Each(3));
}

TEST(Adamw, RefusesWhatDoesNotFit) {
  AdamWBuffers buffers = buffers_of(4, 0);
  buffers.gradient = zeros({3});
  EXPECT_THROW(adamw(buffers, {}, {}), ShapeError);
  buffers = buffers_of(4, 0);
  buffers.second_moment = zeros({4}, DType::f64);
  EXPECT_THROW(adamw(buffers, {}, {}), DTypeError);
  buffers = buffers_of(4, 0);
  buffers.decay = zeros({4});
  EXPECT_THROW(adamw(buffers, {}, {}), DTypeError);
  EXPECT_THROW(squared_norm(zeros({4}, DType::i32)), DTypeError);
}

}  // namespace
}  // namespace dehvf
