// One optimizer step over flat buffers, driven by a struct that a captured graph can read.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

/// Everything that changes from step to step (contracts.md: step state).
struct StepState {
  uint64_t step = 0;  // 1 for the first update
  double learning_rate = 0;
  double first_correction = 1;   // 1 - beta1^step
  double second_correction = 1;  // 1 - beta2^step
  double clip_factor = 1;        // multiplies every gradient
  bool skip = false;             // a gradient was not finite: the update is left out
};

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0.02;
};

/// Flat tensors of one length, f32 (f64 in checks); `decay` u8, 1 where weight decay applies.
struct AdamWBuffers {
  Tensor value, gradient, first_moment, second_moment, decay;
};

struct AdamW : KernelTag<AdamW, void(const AdamWBuffers&, const AdamWOptions&, const StepState&)> {
  static constexpr std::string_view name = "adamw";
};
struct SquaredNorm : KernelTag<SquaredNorm, void(const Tensor& x, const Tensor& norm)> {
  static constexpr std::string_view name = "squared_norm";
};

/// AdamW (Loshchilov and Hutter, 2019), decoupled decay: value -= rate (m / (sqrt(v) + epsilon) + decay
/// value) with the bias-corrected moments m and v of the clipped gradient. Does nothing when state.skip.
void adamw(const AdamWBuffers& buffers, const AdamWOptions& options, const StepState& state);

/// Sum of squares in f64, in a fixed order; not finite exactly if an element is not (or the sum overflows).
double squared_norm(const Tensor& x);

/// Index of the first element that is not finite, -1 when all are.
int64_t first_non_finite(const Tensor& x);

}  // namespace dehvf
