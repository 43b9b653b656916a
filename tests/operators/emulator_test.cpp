// What the checks of operators do not look at on the emulated device: the optimizer's update, and recorded
// micro-batches in which the tower runs too.
#include <cmath>

#include <gtest/gtest.h>

#include "train/contract/replay.h"
#include "train/contract/stepped.h"

namespace dehvf::contract {
namespace {

constexpr Device kEmulator{DeviceKind::emulator, 0};

// The update is that of the CPU from the same gradients: three roundings of moments and value in f32.
TEST(Emulated, UpdateEqualsTheCpu) {
  const Stepped emulated(tiny::cases_of("dehvf").front(), DType::f32, kEmulator);
  const AdamWBuffers& found = emulated.buffers;
  const Shape shape = found.value.shape();
  const AdamWBuffers own{emulated.before.to(kCpu),
                         found.gradient.to(kCpu),
                         zeros(shape),
                         zeros(shape),
                         found.decay.to(kCpu),
                         {}};
  const Tensor state = step_state(kCpu);
  write_step({.learning_rate = emulated.report.learning_rate}, state);
  finish_gradients(own.gradient, {}, 0, state);
  adamw(own, {}, state);
  const Tensor value = found.value.to(kCpu), before = emulated.before.to(kCpu);
  int64_t changed = 0;
  for (int64_t i = 0; i < shape.count(); ++i) {
    const double wanted = own.value.data<float>()[i];
    ASSERT_NEAR(value.data<float>()[i], wanted, 4 * 6e-8 * (std::fabs(wanted) + 1e-2)) << i;
    changed += value.data<float>()[i] != before.data<float>()[i];
  }
  EXPECT_GT(changed, 0);
}

class SeenInEveryStep : public testing::TestWithParam<tiny::Case> {};
INSTANTIATE_TEST_SUITE_P(Operators, SeenInEveryStep,
                         testing::Values(tiny::cases_of("dehvf").front(), tiny::cases_of("llava").front(),
                                         tiny::Case{"memvp",
                                                    {{"images", "2"}, {"slots", "19"}, {"rank", "3"}}}));

TEST_P(SeenInEveryStep, ReplaysTheBits) {
  Verdict verdict;
  check_replay(GetParam(), false, verdict);
  EXPECT_EQ(verdict.wrong(), std::vector<std::string>());
}

TEST(Emulated, LevelsOfTwoImagesASampleAreFilledUp) {
  Verdict verdict;
  check_replay({"memvp", {{"images", "2"}, {"slots", "19"}, {"rank", "3"}}}, true, verdict);
  EXPECT_EQ(verdict.wrong(), std::vector<std::string>());
}

}  // namespace
}  // namespace dehvf::contract
