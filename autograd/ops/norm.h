// Differentiable normalisation: the names and meanings of core/ops/norm.h, on Variables.
#pragma once

#include "autograd/tape.h"

namespace dehvf {

Variable rms_norm(const Variable& x, const Variable& weight, double eps);
Variable layer_norm(const Variable& x, const Variable& weight, const Variable& bias, double eps);

}  // namespace dehvf
