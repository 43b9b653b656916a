// One optimizer step over flat buffers. What changes from step to step is a StepState on their device, made
// and read without the host.
#pragma once

#include <array>

#include "core/kernel.h"
#include "core/ops/step_state.h"

namespace dehvf {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0.02;
};

/// Flat tensors of one length, f32 (f64 in checks); `decay` u8, 1 where weight decay applies; `working`,
/// empty or bf16 or f16, receives the new values rounded, for products.
struct AdamWBuffers {
  Tensor value, gradient, first_moment, second_moment, decay, working;
  std::array<Tensor, 5> tensors() const { return {value, gradient, first_moment, second_moment, working}; }
};

struct AdamW : KernelTag<AdamW, void(const AdamWBuffers&, const AdamWOptions&, const Tensor& state)> {
  static constexpr std::string_view name = "adamw";
};
struct FinishGradients : KernelTag<FinishGradients, void(const Tensor& gradient, const AdamWOptions&,
                                                         double clip, const Tensor& state)> {
  static constexpr std::string_view name = "finish_gradients";
};
struct AddLoss : KernelTag<AddLoss, void(const Tensor& loss, const Tensor& state)> {
  static constexpr std::string_view name = "add_loss";
};
struct SquaredNorm : KernelTag<SquaredNorm, void(const Tensor& x, const Tensor& norm)> {
  static constexpr std::string_view name = "squared_norm";
};

/// state.loss += loss, a scalar [] in f32 (f64 in checks): one call a micro-batch.
void add_loss(const Tensor& loss, const Tensor& state);

/// From the whole step's flat gradient and the state's loss: norm (f64, in a fixed order), the factor that
/// brings it down to `clip` (0: none), bias corrections, and whether the update must be skipped because norm
/// or loss is not finite.
void finish_gradients(const Tensor& gradient, const AdamWOptions& options, double clip, const Tensor& state);

/// AdamW (Loshchilov and Hutter, 2019), decoupled decay: value -= rate (m / (sqrt(v) + epsilon) + decay
/// value) with the bias-corrected moments m and v of the clipped gradient. Does nothing when the state says
/// skip.
void adamw(const AdamWBuffers& buffers, const AdamWOptions& options, const Tensor& state);

/// Sum of squares in f64, in a fixed order; not finite exactly if an element is not (or the sum overflows).
/// Waits for the device.
double squared_norm(const Tensor& x);

}  // namespace dehvf
