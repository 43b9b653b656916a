#include "autograd/ops/norm.h"

#include "core/ops/norm.h"
#include "core/ops/reduce.h"

namespace dehvf {

Variable rms_norm(const Variable& x, const Variable& weight, double eps) {
  const Tensor kept = x.value();
  const RmsNormResult result = rms_norm(kept, weight.value(), eps);
  return record("rms_norm", result.y, {x, weight},
                [kept, weight, inv_rms = result.inv_rms](const Tensor& dy, const Wanted& wanted) {
                  Grads grads(2);
                  if (wanted[0]) grads[0] = rms_norm_backward(kept, weight.value(), inv_rms, dy);
                  if (wanted[1]) grads[1] = rms_norm_weight_grad(kept, inv_rms, dy);
                  return grads;
                });
}

Variable layer_norm(const Variable& x, const Variable& weight, const Variable& bias, double eps) {
  const bool needs_x = x.wants_grad() || weight.wants_grad();
  const Tensor value = x.value(), kept = needs_x ? value : Tensor();
  const LayerNormResult result = layer_norm(value, weight.value(), bias.value(), eps);
  return record("layer_norm", result.y, {x, weight, bias},
                [kept, weight, mean = result.mean, inv = result.inv_deviation, type = bias.grad_dtype()](
                    const Tensor& dy, const Wanted& wanted) {
                  Grads grads(3);
                  if (wanted[0]) grads[0] = layer_norm_backward(kept, weight.value(), mean, inv, dy);
                  if (wanted[1]) grads[1] = layer_norm_weight_grad(kept, mean, inv, dy);
                  if (wanted[2]) grads[2] = sum_rows(dy, type);
                  return grads;
                });
}

}  // namespace dehvf
