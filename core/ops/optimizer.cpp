#include "core/ops/optimizer.h"

#include "core/ops/check.h"

namespace dehvf {
namespace {

void check_accurate(std::string_view op, std::string_view name, const Tensor& tensor) {
  require<DTypeError>(tensor.dtype() == statistics_dtype(tensor.dtype()), op, ": ", name, " is ",
                      tensor.dtype(), ", wanted f32 (f64 in checks)");
}

}  // namespace

void add_loss(const Tensor& loss, const Tensor& state) {
  check_accurate("add_loss", "loss", loss);
  require(loss.count() == 1, "add_loss: loss is ", loss.shape(), ", wanted one element");
  check_step_state("add_loss", state, loss.device());
  run<AddLoss>(loss.device().kind, loss, state);
}

void finish_gradients(const Tensor& gradient, const AdamWOptions& options, double clip, const Tensor& state) {
  check_accurate("finish_gradients", "gradient", gradient);
  check_step_state("finish_gradients", state, gradient.device());
  run<FinishGradients>(gradient.device().kind, gradient, options, clip, state);
}

void adamw(const AdamWBuffers& buffers, const AdamWOptions& options, const Tensor& state) {
  check_same("adamw", "value", buffers.value, "gradient", buffers.gradient);
  check_same("adamw", "value", buffers.value, "first_moment", buffers.first_moment);
  check_same("adamw", "value", buffers.value, "second_moment", buffers.second_moment);
  check_like("adamw", "decay", buffers.decay, buffers.value.shape(), DType::u8, buffers.value.device());
  check_accurate("adamw", "value", buffers.value);
  check_step_state("adamw", state, buffers.value.device());
  if (buffers.working.defined()) {
    const DType dtype = buffers.working.dtype();
    require<DTypeError>(dtype == DType::bf16 || dtype == DType::f16, "adamw: working is ", dtype,
                        ", wanted bf16 or f16");
    check_like("adamw", "working", buffers.working, buffers.value.shape(), dtype, buffers.value.device());
  }
  run<AdamW>(buffers.value.device().kind, buffers, options, state);
}

double squared_norm(const Tensor& x) {
  check_float("squared_norm", "x", x);
  const Tensor norm(Shape{}, DType::f64, x.device());
  run<SquaredNorm>(x.device().kind, x, norm);
  return item(norm);
}

}  // namespace dehvf
