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

namespace {

// The norm's gradient waits here until the sum, recorded before it and so visited after it, takes it.
using Slot = std::shared_ptr<Tensor>;

Tensor zeros_for(const Variable& row) { return zeros(row.shape(), row.grad_dtype(), row.value().device()); }

Variable record_normed(std::string_view op, const Tensor& y, const Variable& sum, const Slot& dy) {
  return record(
      op, y, {sum},
      [dy](const Tensor& grad, const Wanted&) {
        *dy = grad;
        return Grads(1);
      },
      true);
}

}  // namespace

AddedNorm add_rms_norm(const Variable& x, const Variable& residual, const Variable& weight, double eps) {
  const Tensor stream = x.value();
  RmsNormResult result = residual.defined() ? add_rms_norm(stream, residual.value(), weight.value(), eps)
                                            : rms_norm(stream, weight.value(), eps);
  if (!residual.defined()) result.sum = stream;
  const auto slot = std::make_shared<Tensor>();
  const Variable sum = record(
      "add_rms_norm", result.sum, {x, residual, weight},
      [kept = result.sum, weight, inv_rms = result.inv_rms, slot](const Tensor& dsum, const Wanted& wanted) {
        const Tensor& dy = *slot;
        if (!dy.defined()) return Grads{dsum, dsum, wanted[2] ? zeros_for(weight) : Tensor()};
        Grads grads(3);
        if (wanted[0] || wanted[1])
          grads[0] = grads[1] = dsum.defined()
                                    ? add_rms_norm_backward(kept, weight.value(), inv_rms, dy, dsum)
                                    : rms_norm_backward(kept, weight.value(), inv_rms, dy);
        if (wanted[2]) grads[2] = rms_norm_weight_grad(kept, inv_rms, dy);
        return grads;
      });
  return {sum, record_normed("add_rms_norm's normed", result.y, sum, slot)};
}

AddedNorm add_layer_norm(const Variable& x, const Variable& residual, const Variable& weight,
                         const Variable& bias, double eps) {
  const bool needs_sum = x.wants_grad() || residual.wants_grad() || weight.wants_grad();
  const Tensor stream = x.value();
  LayerNormResult result = residual.defined()
                               ? add_layer_norm(stream, residual.value(), weight.value(), bias.value(), eps)
                               : layer_norm(stream, weight.value(), bias.value(), eps);
  if (!residual.defined()) result.sum = stream;
  const Tensor kept = needs_sum ? result.sum : Tensor();
  const auto slot = std::make_shared<Tensor>();
  const Variable sum = record("add_layer_norm", result.sum, {x, residual, weight, bias},
                              [kept, weight, bias, mean = result.mean, inv = result.inv_deviation, slot](
                                  const Tensor& dsum, const Wanted& wanted) {
                                const Tensor& dy = *slot;
                                if (!dy.defined())
                                  return Grads{dsum, dsum, wanted[2] ? zeros_for(weight) : Tensor(),
                                               wanted[3] ? zeros_for(bias) : Tensor()};
                                Grads grads(4);
                                if (wanted[0] || wanted[1])
                                  grads[0] = grads[1] =
                                      dsum.defined()
                                          ? add_layer_norm_backward(kept, weight.value(), mean, inv, dy, dsum)
                                          : layer_norm_backward(kept, weight.value(), mean, inv, dy);
                                if (wanted[2]) grads[2] = layer_norm_weight_grad(kept, mean, inv, dy);
                                if (wanted[3]) grads[3] = sum_rows(dy, bias.grad_dtype());
                                return grads;
                              });
  return {sum, record_normed("add_layer_norm's normed", result.y, sum, slot)};
}

}  // namespace dehvf
