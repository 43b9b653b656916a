#include "core/ops/optimizer.h"

#include <cstring>

#include "support/parity.h"

namespace dehvf {
namespace {

class OptimizerKernels : public Parity {};

// Around the packs, the blocks, and the parts of a sum.
constexpr int64_t kCounts[] = {1, 3, 8, 1023, 1025, 32767, 32769, 100003};
const AdamWOptions kOptions{.weight_decay = 0.1};

StepState state_of_step(uint64_t updates) {
  return {.step = 9, .updates = updates, .learning_rate = 0.03, .clip_factor = 0.7};
}

TEST_P(OptimizerKernels, SquaredNorm) {
  for (DType dtype : kKernelDtypes)
    for (int64_t count : kCounts)
      for (int64_t shift : {0, 1}) {
        const Tensor x = drawn(count, shift, dtype, device(), random_key({31, uint64_t(count)}));
        double want = 0;
        const Tensor wide = exact(x);
        for (double v : wide.span<double>()) want += v * v;
        EXPECT_NEAR(squared_norm(x), want, 1e-13 * want) << dtype << " " << count;
      }
  EXPECT_EQ(squared_norm(Tensor({0}, DType::f32, device())), 0);
  EXPECT_DOUBLE_EQ(squared_norm(full({3}, 1e30).to(device())), 3 * std::pow(double(1e30f), 2));
}

TEST_P(OptimizerKernels, FinishAsTheCpuDoes) {
  for (int64_t count : kCounts)
    for (double clip : {0.0, 0.5, 1e9}) {
      const Tensor gradient = drawn(count, 1, DType::f32, device(), random_key({32, uint64_t(count)}));
      const Tensor here = step_state(device()), there = step_state(kCpu);
      for (const Tensor& state : {here, there}) {
        write_step(state_of_step(41), state);
        for (double loss : {0.25, 1.5}) add_loss(full({}, loss).to(state.device()), state);
        finish_gradients(gradient.to(state.device()), kOptions, clip, state);
      }
      const StepState got = read_step(here), want = read_step(there);
      EXPECT_EQ(got.step, 9u);
      EXPECT_EQ(got.loss, 1.75);
      EXPECT_NEAR(got.gradient_norm, want.gradient_norm, 1e-13 * want.gradient_norm);
      EXPECT_NEAR(got.clip_factor, want.clip_factor, 1e-13);
      EXPECT_NEAR(got.first_scale, want.first_scale, 1e-13 * want.first_scale);
      EXPECT_NEAR(got.second_scale, want.second_scale, 1e-13 * want.second_scale);
      EXPECT_EQ(got.skip, 0u);
      EXPECT_EQ(got.not_finite, -1);
    }
}

TEST_P(OptimizerKernels, FindTheFirstThatIsNotFinite) {
  const int64_t count = 70001;
  const Tensor gradient = random_normal({count}, 1, 33), state = step_state(device());
  const auto finished = [&] {
    finish_gradients(gradient.to(device()), kOptions, 1, state);
    return read_step(state);
  };
  float bad = NAN;
  for (int64_t at : {count - 1, int64_t(65536), int64_t(40000), int64_t(32768), int64_t(32767), int64_t(1026),
                     int64_t(2), int64_t(0)}) {
    gradient.data<float>()[at] = bad;
    bad = bad > 0 ? NAN : INFINITY;
    const StepState got = finished();
    EXPECT_EQ(got.not_finite, at);
    EXPECT_EQ(got.skip, 1u);
  }
  std::ranges::fill(gradient.span<float>(), 1.0f);
  EXPECT_EQ(finished().skip, 0u);
  add_loss(full({}, INFINITY).to(device()), state);
  EXPECT_EQ(finished().skip, 1u);
  EXPECT_EQ(finished().not_finite, -1);
}

// Copies of f32 (f64 in the reference) that both sides update.
AdamWBuffers drawn_buffers(int64_t count, int64_t shift, Device device) {
  const auto key = [&](uint64_t of) { return random_key({34, of, uint64_t(count)}); };
  const Tensor second = random_uniform({shift + count}, 0, 3, key(4)).to(device).slice(shift, shift + count);
  Tensor decay({shift + count}, DType::u8);
  for (int64_t i = 0; i < shift + count; ++i) decay.data<uint8_t>()[i] = i % 3 == 0;
  return {drawn(count, shift, DType::f32, device, key(1)), drawn(count, shift, DType::f32, device, key(2)),
          drawn(count, shift, DType::f32, device, key(3)), second,
          decay.to(device).slice(shift, shift + count),    {}};
}

AdamWBuffers widened(const AdamWBuffers& b) {
  return {exact(b.value),         exact(b.gradient),        exact(b.first_moment),
          exact(b.second_moment), b.decay.to(kCpu).clone(), {}};
}

TEST_P(OptimizerKernels, AdamW) {
  for (DType working : {DType::f32, DType::bf16, DType::f16})  // f32: none
    for (int64_t count : {1, 3, 8, 1023, 1025, 5001})
      for (int64_t shift : {0, 1, 4}) {
        AdamWBuffers buffers = drawn_buffers(count, shift, device());
        const AdamWBuffers want = widened(buffers);
        const Tensor whole = output(count, shift, working);
        if (working != DType::f32) buffers.working = whole.slice(shift, shift + count);
        const Tensor here = step_state(device()), there = step_state(kCpu);
        for (const Tensor& state : {here, there}) write_step(state_of_step(3), state);
        adamw(buffers, kOptions, here);
        adamw(want, kOptions, there);
        expect_close(buffers.value, want.value, {.additions = 8, .magnitude = 8}, "value");
        expect_close(buffers.first_moment, want.first_moment, {.additions = 2, .magnitude = 6},
                     "first moment");
        expect_close(buffers.second_moment, want.second_moment, {.additions = 2, .magnitude = 36},
                     "second moment");
        expect_untouched_behind(whole, shift + count);
        if (working == DType::f32) continue;
        const Tensor rounded = cast(buffers.value.to(kCpu), working), got = buffers.working.to(kCpu);
        EXPECT_EQ(std::memcmp(got.raw(), rounded.raw(), got.bytes()), 0) << working << " " << count;
      }
}

TEST_P(OptimizerKernels, ASkippedStepChangesNothing) {
  AdamWBuffers buffers = drawn_buffers(77, 0, device());
  buffers.working = full({77}, 5, DType::bf16).to(device());
  const AdamWBuffers before = widened(buffers);
  const Tensor state = step_state(device());
  write_step({.learning_rate = 1, .skip = 1}, state);
  adamw(buffers, kOptions, state);
  const auto same = [](const Tensor& a, const Tensor& b) {
    return std::memcmp(exact(a).raw(), b.raw(), b.bytes()) == 0;
  };
  EXPECT_TRUE(same(buffers.value, before.value));
  EXPECT_TRUE(same(buffers.first_moment, before.first_moment));
  EXPECT_TRUE(same(buffers.second_moment, before.second_moment));
  EXPECT_TRUE(same(buffers.working, full({77}, 5, DType::f64)));
}

TEST_P(OptimizerKernels, LossScaleIsAView) {
  const Tensor state = step_state(device());
  write_step({.loss_scale = 0.125f}, state);
  EXPECT_EQ(item(loss_scale_of(state)), 0.125);
}

INSTANTIATE_TEST_SUITE_P(Places, OptimizerKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
