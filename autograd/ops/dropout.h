// Differentiable dropout.
#pragma once

#include "autograd/tape.h"
#include "core/ops/dropout.h"

namespace dehvf {

/// x [tokens, width]; the gradient passes through the same mask.
Variable dropout(const Variable& x, const Tensor& sample_offsets, const DropoutSpec& spec);

}  // namespace dehvf
