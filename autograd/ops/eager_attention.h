// Attention written out in ops of its own: the scores and shares of every head stand in memory and stay there
// for the backward pass, as they did before attention was one kernel. It is what that kernel is compared
// with.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "autograd/tape.h"
#include "core/ops/attention.h"

namespace dehvf {

/// How the blocks of a frozen model attend.
enum class AttentionForm : uint8_t { fused, eager };

/// Of which rows the spans are made, for one shape of heads and all layers of a pass.
class EagerAttention {
 public:
  /// Span after span of so many queries and as many keys. Only `causal` and `scale` of the options count.
  EagerAttention(std::span<const int64_t> lengths, int64_t heads, int64_t kv_heads,
                 const AttentionOptions& options, DType dtype, Device device);

  /// q [rows, heads, dim], k and v [rows, kv heads, dim], of `dtype` -> [rows, heads, dim]. Spans of one
  /// length that follow each other are one batch. Scores, their scale, the mask and the shares are rounded to
  /// `dtype` each, softmax is computed in f32, as transformers' eager attention does it.
  Variable operator()(const Variable& q, const Variable& k, const Variable& v) const;

 private:
  struct Batch {
    int64_t spans, length;
    Variable mask;  // [length * length]; empty where all is seen
  };
  int64_t rows_ = 0, heads_, kv_heads_;
  double scale_;
  std::vector<Batch> batches_;
  Tensor by_head_, by_row_;  // i32 [rows * heads], from rows to spans of heads and back
  Tensor by_head_of_keys_;   // i32 [rows * heads], of k and v; empty where it is by_head_
};

}  // namespace dehvf
