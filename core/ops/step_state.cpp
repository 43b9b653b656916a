#include "core/ops/step_state.h"

#include <cstddef>

#include "core/ops/check.h"

namespace dehvf {
namespace {

Shape bytes_of_state() { return {int64_t(sizeof(StepState))}; }

}  // namespace

Tensor step_state(Device device) {
  Tensor state(bytes_of_state(), DType::u8, device);
  write_step({}, state);
  return state;
}

void write_step(const StepState& values, const Tensor& state) {
  check_step_state("write_step", state, state.device());
  const auto* const bytes = reinterpret_cast<const uint8_t*>(&values);
  copy_into(tensor_of(std::span(bytes, sizeof values), bytes_of_state()), state);
}

StepState read_step(const Tensor& state) {
  check_step_state("read_step", state, state.device());
  const Tensor host = state.to(kCpu);
  StepState values;
  std::memcpy(&values, host.raw(), sizeof values);
  return values;
}

Tensor loss_scale_of(const Tensor& state) {
  check_step_state("loss_scale_of", state, state.device());
  auto* const bytes = static_cast<std::byte*>(state.raw()) + offsetof(StepState, loss_scale);
  const auto lender = std::make_shared<Tensor>(state);
  return {std::make_shared<Storage>(bytes, sizeof(float), state.device(), lender), 0, Shape{}, DType::f32};
}

void check_step_state(std::string_view op, const Tensor& state, Device device) {
  check_like(op, "the step state", state, bytes_of_state(), DType::u8, device);
}

}  // namespace dehvf
