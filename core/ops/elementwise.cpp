#include "core/ops/elementwise.h"

#include "core/ops/check.h"

namespace dehvf {

std::string_view name_of(Activation activation) {
  switch (activation) {
    case Activation::relu:
      return "relu";
    case Activation::silu:
      return "silu";
    case Activation::gelu:
      return "gelu";
    case Activation::gelu_tanh:
      return "gelu_tanh";
    case Activation::gelu_quick:
      return "gelu_quick";
    case Activation::tanh:
      return "tanh";
    case Activation::sigmoid:
      return "sigmoid";
  }
  return "?";
}

namespace {
Tensor like(const Tensor& x) { return Tensor(x.shape(), x.dtype(), x.device()); }
}  // namespace

Tensor activate(const Tensor& x, Activation activation) {
  check_float(name_of(activation), "x", x);
  Tensor y = like(x);
  run<Activate>(x.device().kind, x, activation, y);
  return y;
}

Tensor activate_backward(const Tensor& x, const Tensor& dy, Activation activation) {
  check_same(name_of(activation), "x", x, "dy", dy);
  Tensor dx = like(x);
  run<ActivateBackward>(x.device().kind, x, dy, activation, dx);
  return dx;
}

Tensor add(const Tensor& a, const Tensor& b, double scale_b) {
  check_same("add", "a", a, "b", b);
  Tensor y = like(a);
  run<Add>(a.device().kind, a, b, scale_b, y);
  return y;
}

void add_into(const Tensor& x, const Tensor& sum, double scale) {
  require(x.shape() == sum.shape(), "add_into: x is ", x.shape(), ", sum is ", sum.shape());
  require<DeviceError>(x.device() == sum.device(), "add_into: x is on ", x.device(), ", sum on ",
                       sum.device());
  run<Add>(sum.device().kind, sum, x, scale, sum);
}

Tensor multiply(const Tensor& a, const Tensor& b) {
  check_same("multiply", "a", a, "b", b);
  Tensor y = like(a);
  run<Multiply>(a.device().kind, a, b, y);
  return y;
}

Tensor scale(const Tensor& x, double factor) {
  check_float("scale", "x", x);
  Tensor y = like(x);
  run<Scale>(x.device().kind, x, factor, y);
  return y;
}

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  Tensor y(x.shape(), dtype, x.device());
  run<Cast>(x.device().kind, x, y);
  return y;
}

Tensor swiglu(const Tensor& gate, const Tensor& up) {
  check_same("swiglu", "gate", gate, "up", up);
  Tensor y = like(gate);
  run<SwiGlu>(gate.device().kind, gate, up, y);
  return y;
}

void swiglu_backward(const Tensor& gate, const Tensor& up, const Tensor& dy, const Tensor& dgate,
                     const Tensor& dup) {
  check_same("swiglu_backward", "gate", gate, "up", up);
  check_same("swiglu_backward", "gate", gate, "dy", dy);
  run<SwiGluBackward>(gate.device().kind, gate, up, dy, dgate, dup);
}

namespace {
template <class Tag>
Tensor with_row(const Tensor& x, const Tensor& row) {
  check_float(Tag::name, "x", x);
  check_like(Tag::name, "row", row, {x.shape().last()}, x.dtype(), x.device());
  Tensor y = like(x);
  run<Tag>(x.device().kind, x, row, y);
  return y;
}
}  // namespace

Tensor add_row(const Tensor& x, const Tensor& row) { return with_row<AddRow>(x, row); }
Tensor multiply_row(const Tensor& x, const Tensor& row) { return with_row<MultiplyRow>(x, row); }

Tensor multiply_column(const Tensor& x, const Tensor& column) {
  check_float("multiply_column", "x", x);
  check_like("multiply_column", "column", column, x.shape().without(-1), x.dtype(), x.device());
  Tensor y = like(x);
  run<MultiplyColumn>(x.device().kind, x, column, y);
  return y;
}

}  // namespace dehvf
