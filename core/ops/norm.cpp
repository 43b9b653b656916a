#include "core/ops/norm.h"

#include "core/ops/check.h"

namespace dehvf {
namespace {

void check_row(std::string_view op, std::string_view name, const Tensor& row, const Tensor& x) {
  check_float(op, name, row);
  require(row.shape() == Shape{x.shape().last()}, op, ": ", name, " ", row.shape(),
          " does not match the last axis of x ", x.shape());
  require<DeviceError>(row.device() == x.device(), op, ": ", name, " is on ", row.device(), ", x on ",
                       x.device());
}

void check_input(std::string_view op, const Tensor& x) {
  check_float(op, "x", x);
  require(x.shape().rank() > 0 && x.shape().last() > 0, op, ": x ", x.shape(), " has no width");
}

Tensor like(const Tensor& x) { return Tensor(x.shape(), x.dtype(), x.device()); }
Tensor per_row(const Tensor& x) {
  return Tensor(x.shape().without(-1), statistics_dtype(x.dtype()), x.device());
}
Tensor per_column(const Tensor& x) {
  return Tensor({x.shape().last()}, statistics_dtype(x.dtype()), x.device());
}
void check_per_row(std::string_view op, std::string_view name, const Tensor& statistic, const Tensor& x) {
  check_like(op, name, statistic, x.shape().without(-1), statistics_dtype(x.dtype()), x.device());
}

}  // namespace

RmsNormResult rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  check_input("rms_norm", x);
  check_row("rms_norm", "weight", weight, x);
  RmsNormResult result{like(x), per_row(x)};
  run<RmsNorm>(x.device().kind, x, weight, eps, result.y, result.inv_rms);
  return result;
}

Tensor rms_norm_backward(const Tensor& x, const Tensor& weight, const Tensor& inv_rms, const Tensor& dy) {
  check_same("rms_norm_backward", "x", x, "dy", dy);
  check_row("rms_norm_backward", "weight", weight, x);
  check_per_row("rms_norm_backward", "inv_rms", inv_rms, x);
  Tensor dx = like(x);
  run<RmsNormBackward>(x.device().kind, x, weight, inv_rms, dy, dx);
  return dx;
}

RmsNormResult add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps) {
  check_input("add_rms_norm", x);
  check_same("add_rms_norm", "x", x, "residual", residual);
  check_row("add_rms_norm", "weight", weight, x);
  RmsNormResult result{like(x), per_row(x), like(x)};
  run<AddRmsNorm>(x.device().kind, x, residual, weight, eps, result.sum, result.y, result.inv_rms);
  return result;
}

Tensor add_rms_norm_backward(const Tensor& sum, const Tensor& weight, const Tensor& inv_rms, const Tensor& dy,
                             const Tensor& dsum) {
  check_same("add_rms_norm_backward", "sum", sum, "dy", dy);
  check_same("add_rms_norm_backward", "sum", sum, "dsum", dsum);
  check_row("add_rms_norm_backward", "weight", weight, sum);
  check_per_row("add_rms_norm_backward", "inv_rms", inv_rms, sum);
  Tensor dx = like(sum);
  run<AddRmsNormBackward>(sum.device().kind, sum, weight, inv_rms, dy, dsum, dx);
  return dx;
}

Tensor rms_norm_weight_grad(const Tensor& x, const Tensor& inv_rms, const Tensor& dy) {
  check_same("rms_norm_weight_grad", "x", x, "dy", dy);
  check_per_row("rms_norm_weight_grad", "inv_rms", inv_rms, x);
  Tensor dweight = per_column(x);
  run<RmsNormWeightGrad>(x.device().kind, x, inv_rms, dy, dweight);
  return dweight;
}

LayerNormResult layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  check_input("layer_norm", x);
  check_row("layer_norm", "weight", weight, x);
  check_row("layer_norm", "bias", bias, x);
  LayerNormResult result{like(x), per_row(x), per_row(x)};
  run<LayerNorm>(x.device().kind, x, weight, bias, eps, result.y, result.mean, result.inv_deviation);
  return result;
}

Tensor layer_norm_backward(const Tensor& x, const Tensor& weight, const Tensor& mean,
                           const Tensor& inv_deviation, const Tensor& dy) {
  check_same("layer_norm_backward", "x", x, "dy", dy);
  check_row("layer_norm_backward", "weight", weight, x);
  check_per_row("layer_norm_backward", "mean", mean, x);
  check_per_row("layer_norm_backward", "inv_deviation", inv_deviation, x);
  Tensor dx = like(x);
  run<LayerNormBackward>(x.device().kind, x, weight, mean, inv_deviation, dy, dx);
  return dx;
}

LayerNormResult add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight,
                               const Tensor& bias, double eps) {
  check_input("add_layer_norm", x);
  check_same("add_layer_norm", "x", x, "residual", residual);
  check_row("add_layer_norm", "weight", weight, x);
  check_row("add_layer_norm", "bias", bias, x);
  LayerNormResult result{like(x), per_row(x), per_row(x), like(x)};
  run<AddLayerNorm>(x.device().kind, x, residual, weight, bias, eps, result.sum, result.y, result.mean,
                    result.inv_deviation);
  return result;
}

Tensor add_layer_norm_backward(const Tensor& sum, const Tensor& weight, const Tensor& mean,
                               const Tensor& inv_deviation, const Tensor& dy, const Tensor& dsum) {
  check_same("add_layer_norm_backward", "sum", sum, "dy", dy);
  check_same("add_layer_norm_backward", "sum", sum, "dsum", dsum);
  check_row("add_layer_norm_backward", "weight", weight, sum);
  check_per_row("add_layer_norm_backward", "mean", mean, sum);
  check_per_row("add_layer_norm_backward", "inv_deviation", inv_deviation, sum);
  Tensor dx = like(sum);
  run<AddLayerNormBackward>(sum.device().kind, sum, weight, mean, inv_deviation, dy, dsum, dx);
  return dx;
}

Tensor layer_norm_weight_grad(const Tensor& x, const Tensor& mean, const Tensor& inv_deviation,
                              const Tensor& dy) {
  check_same("layer_norm_weight_grad", "x", x, "dy", dy);
  check_per_row("layer_norm_weight_grad", "mean", mean, x);
  check_per_row("layer_norm_weight_grad", "inv_deviation", inv_deviation, x);
  Tensor dweight = per_column(x);
  run<LayerNormWeightGrad>(x.device().kind, x, mean, inv_deviation, dy, dweight);
  return dweight;
}

}  // namespace dehvf
