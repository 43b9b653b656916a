// Differentiable normalisation: the names and meanings of core/ops/norm.h, on Variables.
#pragma once

#include "autograd/tape.h"

namespace dehvf {

Variable rms_norm(const Variable& x, const Variable& weight, double eps);
Variable layer_norm(const Variable& x, const Variable& weight, const Variable& bias, double eps);

/// A residual stream and its norm: sum = x + residual, or x where `residual` is empty; normed = the norm of
/// sum. Backward is one pass over both.
struct AddedNorm {
  Variable sum, normed;
};
AddedNorm add_rms_norm(const Variable& x, const Variable& residual, const Variable& weight, double eps);
AddedNorm add_layer_norm(const Variable& x, const Variable& residual, const Variable& weight,
                         const Variable& bias, double eps);

}  // namespace dehvf
