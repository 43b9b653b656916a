#include "core/ops/optimizer.h"

#include <cmath>

#include "core/ops/check.h"

namespace dehvf {

void adamw(const AdamWBuffers& buffers, const AdamWOptions& options, const StepState& state) {
  check_same("adamw", "value", buffers.value, "gradient", buffers.gradient);
  check_same("adamw", "value", buffers.value, "first_moment", buffers.first_moment);
  check_same("adamw", "value", buffers.value, "second_moment", buffers.second_moment);
  check_like("adamw", "decay", buffers.decay, buffers.value.shape(), DType::u8, buffers.value.device());
  require<DTypeError>(buffers.value.dtype() == statistics_dtype(buffers.value.dtype()), "adamw: value is ",
                      buffers.value.dtype(), ", wanted f32 (f64 in checks)");
  if (!state.skip) run<AdamW>(buffers.value.device().kind, buffers, options, state);
}

double squared_norm(const Tensor& x) {
  check_float("squared_norm", "x", x);
  const Tensor norm(Shape{}, DType::f64, x.device());
  run<SquaredNorm>(x.device().kind, x, norm);
  return item(norm);
}

int64_t first_non_finite(const Tensor& x) {
  const Tensor host = x.to(kCpu);
  return visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    const T* data = host.data<T>();
    for (int64_t i = 0; i < host.count(); ++i)
      if (!std::isfinite(Compute<T>(data[i]))) return i;
    return int64_t(-1);
  });
}

}  // namespace dehvf
