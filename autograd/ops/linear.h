// Differentiable products. A frozen operand costs nothing here: its gradient is not formed, and the
// activation that only its gradient would need is not kept.
#pragma once

#include "autograd/tape.h"
#include "core/ops/matmul.h"

namespace dehvf {

Variable linear(const Variable& x, const Variable& weight);  // x [..., in], weight [out, in]
Variable linear(const Variable& x, const Variable& weight, const Variable& bias);  // bias [out]; may be empty
Variable matmul(const Variable& a, const Variable& b,
                bool transpose_b = false);  // matrices, or batches of them

}  // namespace dehvf
