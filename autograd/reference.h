// Every fused op written in basic ops: the oracle for values and gradients, and the way an idea runs before
// its kernel exists. Clear, slow, for tensors on the CPU.
#pragma once

#include "autograd/ops/visual_rows.h"
#include "core/ops/attention.h"

namespace dehvf {

Variable swiglu_reference(const Variable& gate, const Variable& up);
Variable softmax_reference(const Variable& x);
Variable rms_norm_reference(const Variable& x, const Variable& weight, double eps);
Variable layer_norm_reference(const Variable& x, const Variable& weight, const Variable& bias, double eps);

/// Shapes as core/ops/attention.h; here the spans' queries must cover the rows of q in order, and every query
/// must see a key.
Variable attention_reference(const Variable& q, const Variable& k, const Variable& v, const Tensor& spans,
                             const AttentionOptions& options);

/// Shapes as core/ops/cross_entropy.h.
Variable cross_entropy_reference(const Variable& hidden, const Variable& head, const Tensor& targets);

/// Keys and values are built for every sample. `mask` [tokens, n] takes the place of plan.dropout; empty is
/// none.
Variable visual_rows_reference(const Variable& x, const VisualRows& rows, const Tensor& mask);

}  // namespace dehvf
