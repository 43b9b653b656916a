// Spans of packed rows as a library of padded samples takes them: where each begins, how long it is, and
// statistics [samples, heads, bound] with room for the longest.
#pragma once

#include "core/ops/attention.h"

namespace dehvf::cuda {

struct RaggedSpans {
  Tensor q_counts, k_counts;    // i32 [spans]
  Tensor q_offsets, k_offsets;  // i64 [spans + 1], in elements of q and k; the last one is an end
};

/// Without queries that see no key: they are cut off, and a span that has no others becomes empty.
RaggedSpans ragged_spans(const Tensor& q, const Tensor& k, const Tensor& spans,
                         const AttentionOptions& options);

/// lse [heads, q rows] from `padded`, f32 [spans, heads, bound]. Rows of `out`, of 16-bit elements, that see
/// no key become zero, their lse minus infinity.
void unpad_attention(const Tensor& padded, const Tensor& spans, const AttentionOptions& options,
                     const Tensor& out, const Tensor& lse);

/// `padded` from lse, zero behind the end of a span. Rows of the gradients, of 16-bit elements, that are in
/// no span become zero.
void pad_attention(const Tensor& lse, const Tensor& spans, const AttentionOptions& options,
                   const Tensor& padded, const AttentionGrads& grads);

}  // namespace dehvf::cuda
