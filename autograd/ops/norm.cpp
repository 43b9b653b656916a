#include "autograd/ops/norm.h"

#include "core/ops/elementwise.h"
#include "core/ops/norm.h"
#include "core/ops/reduce.h"

namespace dehvf {

Variable rms_norm(const Variable& x, const Variable& weight, double eps) {
  const Tensor kept = x.value();
  const RmsNormResult result = rms_norm(kept, weight.value(), eps);
  return record("rms_norm", result.y, {x, weight},
                [kept, weight, inv_rms = result.inv_rms, type_x = x.grad_dtype()](const Tensor& dy,
                                                                                  const Wanted& wanted) {
                  Grads grads(2);
                  if (wanted[0])
                    grads[0] = cast(rms_norm_backward(kept, weight.value(), inv_rms, dy), type_x);
                  if (wanted[1])
                    grads[1] = cast(rms_norm_weight_grad(kept, inv_rms, dy), weight.grad_dtype());
                  return grads;
                });
}

Variable layer_norm(const Variable& x, const Variable& weight, const Variable& bias, double eps) {
  const bool needs_x = x.wants_grad() || weight.wants_grad();
  const Tensor value = x.value(), kept = needs_x ? value : Tensor();
  const LayerNormResult result = layer_norm(value, weight.value(), bias.value(), eps);
  return record("layer_norm", result.y, {x, weight, bias},
                [kept, weight, mean = result.mean, inv = result.inv_deviation, type_x = x.grad_dtype(),
                 type_bias = bias.grad_dtype()](const Tensor& dy, const Wanted& wanted) {
                  Grads grads(3);
                  if (wanted[0])
                    grads[0] = cast(layer_norm_backward(kept, weight.value(), mean, inv, dy), type_x);
                  if (wanted[1])
                    grads[1] = cast(layer_norm_weight_grad(kept, mean, inv, dy), weight.grad_dtype());
                  if (wanted[2]) grads[2] = sum_rows(dy, type_bias);
                  return grads;
                });
}

}  // namespace dehvf
