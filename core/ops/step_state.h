// What changes from one optimizer step to the next, in a few bytes on the device of the parameters: kernels
// read it there, so that a captured graph of a step holds no value of the host.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace dehvf {

/// The layout of those bytes. The host writes it before a step and reads it once behind; finish_gradients
/// (core/ops/optimizer.h) fills in the second half.
struct StepState {
  uint64_t step = 0;     // done before this one; names the step's random numbers
  uint64_t updates = 0;  // made before this one
  double learning_rate = 0;
  float loss_scale = 1;  // of the mean over the step: 1 / labelled tokens
  uint32_t skip = 0;     // 1: a gradient or the loss is not finite, and the update is left out
  double loss = 0;       // of the whole step
  double gradient_norm = 0;
  double clip_factor = 1;   // multiplies every gradient
  double first_scale = 1;   // 1 / (1 - beta1^t) of the update t
  double second_scale = 1;  // 1 / (1 - beta2^t)
  int64_t not_finite = -1;  // the first element of the flat gradient that is not finite
};

Tensor step_state(Device device);  // u8 [sizeof(StepState)], as default-constructed
void write_step(const StepState& values, const Tensor& state);
StepState read_step(const Tensor& state);   // waits for the device
Tensor loss_scale_of(const Tensor& state);  // a view: f32 []
/// Throws unless `state` is one, on `device`.
void check_step_state(std::string_view op, const Tensor& state, Device device);

}  // namespace dehvf
