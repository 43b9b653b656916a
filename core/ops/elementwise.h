// Elementwise ops and their gradients. All operands share one shape and dtype unless a line says otherwise;
// values are computed in f32 (f64 for f64) and rounded once.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

enum class Activation : uint8_t {
  relu,
  silu,        // x sigmoid(x)
  gelu,        // x Phi(x), exact
  gelu_tanh,   // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  gelu_quick,  // x sigmoid(1.702 x)
  tanh,
  sigmoid,
};
std::string_view name_of(Activation activation);

struct Activate : KernelTag<Activate, void(const Tensor& x, Activation, const Tensor& y)> {
  static constexpr std::string_view name = "activate";
};
struct ActivateBackward
    : KernelTag<ActivateBackward, void(const Tensor& x, const Tensor& dy, Activation, const Tensor& dx)> {
  static constexpr std::string_view name = "activate_backward";
};
struct Add : KernelTag<Add, void(const Tensor& a, const Tensor& b, double scale_b, const Tensor& y)> {
  static constexpr std::string_view name = "add";
};
struct Multiply : KernelTag<Multiply, void(const Tensor& a, const Tensor& b, const Tensor& y)> {
  static constexpr std::string_view name = "multiply";
};
struct Scale : KernelTag<Scale, void(const Tensor& x, double factor, const Tensor& y)> {
  static constexpr std::string_view name = "scale";
};
struct Cast : KernelTag<Cast, void(const Tensor& x, const Tensor& y)> {
  static constexpr std::string_view name = "cast";
};
struct SwiGlu : KernelTag<SwiGlu, void(const Tensor& gate, const Tensor& up, const Tensor& y)> {
  static constexpr std::string_view name = "swiglu";
};
struct SwiGluBackward : KernelTag<SwiGluBackward, void(const Tensor& gate, const Tensor& up, const Tensor& dy,
                                                       const Tensor& dgate, const Tensor& dup)> {
  static constexpr std::string_view name = "swiglu_backward";
};
struct AddRow : KernelTag<AddRow, void(const Tensor& x, const Tensor& row, const Tensor& y)> {
  static constexpr std::string_view name = "add_row";
};
struct MultiplyRow : KernelTag<MultiplyRow, void(const Tensor& x, const Tensor& row, const Tensor& y)> {
  static constexpr std::string_view name = "multiply_row";
};
struct MultiplyColumn
    : KernelTag<MultiplyColumn, void(const Tensor& x, const Tensor& column, const Tensor& y)> {
  static constexpr std::string_view name = "multiply_column";
};

Tensor activate(const Tensor& x, Activation activation);
Tensor activate_backward(const Tensor& x, const Tensor& dy, Activation activation);
Tensor add(const Tensor& a, const Tensor& b, double scale_b = 1);  // a + scale_b b
void add_into(const Tensor& x, const Tensor& sum,
              double scale = 1);  // sum += scale x; x may be of another dtype
Tensor multiply(const Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor);
Tensor cast(const Tensor& x, DType dtype);            // itself when it has the dtype already
Tensor swiglu(const Tensor& gate, const Tensor& up);  // silu(gate) up
void swiglu_backward(const Tensor& gate, const Tensor& up, const Tensor& dy, const Tensor& dgate,
                     const Tensor& dup);
Tensor add_row(const Tensor& x, const Tensor& row);       // x [..., width] + row [width]
Tensor multiply_row(const Tensor& x, const Tensor& row);  // x [..., width] * row [width]
Tensor multiply_column(const Tensor& x,
                       const Tensor& column);  // x [..., width] * column [...], one factor a row

}  // namespace dehvf
