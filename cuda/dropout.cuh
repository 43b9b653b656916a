// Dropout's random words as kernels draw them (core/ops/dropout.h): the same bits as on the CPU.
#pragma once

#include "core/ops/dropout.h"
#include "core/ops/step_state.h"
#include "core/random.h"

namespace dehvf::cuda {

/// What a kernel needs of a DropoutSpec.
struct DropoutDraw {
  uint64_t seed_key, step, layer;
  const StepState* state;  // whose step stands for `step`; may be null
  uint32_t threshold;      // smaller words are dropped
  float kept;              // the factor of all others
};

inline DropoutDraw dropout_draw(const DropoutSpec& spec) {
  const auto* const state =
      spec.step_state.defined() ? static_cast<const StepState*>(spec.step_state.raw()) : nullptr;
  return {random_key({spec.seed}),   spec.step, spec.layer, state, uint32_t(spec.rate * 0x1p32),
          float(1 / (1 - spec.rate))};
}

/// The key of all words of a launch: best computed once a block.
__device__ inline uint64_t dropout_key(const DropoutDraw& draw) {
  return mixed_key(mixed_key(draw.seed_key, draw.state ? draw.state->step : draw.step), draw.layer);
}

/// 0 or `kept` for the slots 4 quad to 4 quad + 3 of the token at `position` of the sample `id`.
struct DropoutFactors {
  float of[4];
};
__device__ inline DropoutFactors dropout_factors(const DropoutDraw& draw, uint64_t key, uint64_t id,
                                                 uint32_t position, uint32_t quad) {
  const auto words = philox({position, quad, uint32_t(id), uint32_t(id >> 32)}, key);
  const auto factor = [&](uint32_t word) { return word < draw.threshold ? 0 : draw.kept; };
  return {{factor(words[0]), factor(words[1]), factor(words[2]), factor(words[3])}};
}

/// The sample that owns `token`: the last whose offset is not behind it.
__device__ inline int sample_of(const int32_t* offsets, int samples, int64_t token) {
  int low = 0, high = samples - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (offsets[middle] <= token)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

}  // namespace dehvf::cuda
