// Normalisation over the last axis, with the statistics of each row kept for the gradients.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

struct RmsNorm : KernelTag<RmsNorm, void(const Tensor& x, const Tensor& weight, double eps, const Tensor& y,
                                         const Tensor& inv_rms)> {
  static constexpr std::string_view name = "rms_norm";
};
struct RmsNormBackward
    : KernelTag<RmsNormBackward, void(const Tensor& x, const Tensor& weight, const Tensor& inv_rms,
                                      const Tensor& dy, const Tensor& dx)> {
  static constexpr std::string_view name = "rms_norm_backward";
};
struct AddRmsNorm
    : KernelTag<AddRmsNorm, void(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps,
                                 const Tensor& sum, const Tensor& y, const Tensor& inv_rms)> {
  static constexpr std::string_view name = "add_rms_norm";
};
struct AddRmsNormBackward
    : KernelTag<AddRmsNormBackward, void(const Tensor& sum, const Tensor& weight, const Tensor& inv_rms,
                                         const Tensor& dy, const Tensor& dsum, const Tensor& dx)> {
  static constexpr std::string_view name = "add_rms_norm_backward";
};
struct RmsNormWeightGrad : KernelTag<RmsNormWeightGrad, void(const Tensor& x, const Tensor& inv_rms,
                                                             const Tensor& dy, const Tensor& dweight)> {
  static constexpr std::string_view name = "rms_norm_weight_grad";
};
struct LayerNorm
    : KernelTag<LayerNorm, void(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps,
                                const Tensor& y, const Tensor& mean, const Tensor& inv_deviation)> {
  static constexpr std::string_view name = "layer_norm";
};
struct LayerNormBackward
    : KernelTag<LayerNormBackward, void(const Tensor& x, const Tensor& weight, const Tensor& mean,
                                        const Tensor& inv_deviation, const Tensor& dy, const Tensor& dx)> {
  static constexpr std::string_view name = "layer_norm_backward";
};
struct AddLayerNorm
    : KernelTag<AddLayerNorm, void(const Tensor& x, const Tensor& residual, const Tensor& weight,
                                   const Tensor& bias, double eps, const Tensor& sum, const Tensor& y,
                                   const Tensor& mean, const Tensor& inv_deviation)> {
  static constexpr std::string_view name = "add_layer_norm";
};
struct AddLayerNormBackward
    : KernelTag<AddLayerNormBackward,
                void(const Tensor& sum, const Tensor& weight, const Tensor& mean, const Tensor& inv_deviation,
                     const Tensor& dy, const Tensor& dsum, const Tensor& dx)> {
  static constexpr std::string_view name = "add_layer_norm_backward";
};
struct LayerNormWeightGrad
    : KernelTag<LayerNormWeightGrad, void(const Tensor& x, const Tensor& mean, const Tensor& inv_deviation,
                                          const Tensor& dy, const Tensor& dweight)> {
  static constexpr std::string_view name = "layer_norm_weight_grad";
};

struct RmsNormResult {
  Tensor y, inv_rms;  // inv_rms [...] in the statistics dtype
  Tensor sum = {};    // of the forms that add a residual
};
struct LayerNormResult {
  Tensor y, mean, inv_deviation;
  Tensor sum = {};
};

/// y = round(x / sqrt(mean(x^2) + eps)) weight, for x [..., width] and weight [width] of any float dtype. The
/// normalised value is rounded to x's dtype before the weight multiplies it, as LLaMA does.
RmsNormResult rms_norm(const Tensor& x, const Tensor& weight, double eps);
Tensor rms_norm_backward(const Tensor& x, const Tensor& weight, const Tensor& inv_rms, const Tensor& dy);
/// rms_norm of sum = x + residual, rounded, of one shape and dtype.
RmsNormResult add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps);
/// The gradient of x and of residual alike; dsum is what comes from the other uses of the sum.
Tensor add_rms_norm_backward(const Tensor& sum, const Tensor& weight, const Tensor& inv_rms, const Tensor& dy,
                             const Tensor& dsum);
/// [width] in the statistics dtype.
Tensor rms_norm_weight_grad(const Tensor& x, const Tensor& inv_rms, const Tensor& dy);

/// y = (x - mean) / sqrt(variance + eps) weight + bias, rounded once; variance divides by width.
LayerNormResult layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);
Tensor layer_norm_backward(const Tensor& x, const Tensor& weight, const Tensor& mean,
                           const Tensor& inv_deviation, const Tensor& dy);
/// layer_norm of sum = x + residual; its backward as that of add_rms_norm.
LayerNormResult add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight,
                               const Tensor& bias, double eps);
Tensor add_layer_norm_backward(const Tensor& sum, const Tensor& weight, const Tensor& mean,
                               const Tensor& inv_deviation, const Tensor& dy, const Tensor& dsum);
Tensor layer_norm_weight_grad(const Tensor& x, const Tensor& mean, const Tensor& inv_deviation,
                              const Tensor& dy);

}  // namespace dehvf
