// Every fused op written in basic ops: the oracle for values and gradients, and the way an idea runs before
// its kernel exists. Clear, slow, for tensors on the CPU.
#pragma once

#include "autograd/ops/visual_rows.h"

namespace dehvf {

Variable swiglu_reference(const Variable& gate, const Variable& up);
Variable softmax_reference(const Variable& x);
Variable rms_norm_reference(const Variable& x, const Variable& weight, double eps);
Variable layer_norm_reference(const Variable& x, const Variable& weight, const Variable& bias, double eps);

/// The sum over the rows with a label >= 0 of logsumexp(row) - row[label], a scalar. logits [rows,
/// vocabulary], labels i32 [rows].
Variable cross_entropy_reference(const Variable& logits, const Tensor& labels);

/// Keys and values are built for every sample. `mask` [tokens, n] takes the place of plan.dropout; empty is
/// none.
Variable visual_rows_reference(const Variable& x, const VisualRows& rows, const Tensor& mask);

}  // namespace dehvf
