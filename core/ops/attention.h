// Softmax attention over spans of packed rows.
#pragma once

#include <array>

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

struct AttentionOptions {
  bool causal =
      false;         // aligned at the ends: query i of a span sees its first k_count - q_count + i + 1 keys
  double scale = 1;  // of the scores, usually 1 / sqrt(dim)
  // What the caller knows of spans that stand on a device. Kernels may rely on it and need not check it.
  bool own_keys = false;  // no key is in two spans
  int64_t longest = 0;    // no span has more queries or keys; 0: not known
};

struct Attention
    : KernelTag<Attention, void(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                                const AttentionOptions&, const Tensor& out, const Tensor& lse)> {
  static constexpr std::string_view name = "attention";
  static constexpr bool minus_infinity_is_meant = true;  // in lse
};

struct AttentionGrads {
  Tensor q, k, v;
  std::array<Tensor, 3> tensors() const { return {q, k, v}; }
};
struct AttentionBackward
    : KernelTag<AttentionBackward, void(const Tensor& q, const Tensor& k, const Tensor& v,
                                        const Tensor& spans, const AttentionOptions&, const Tensor& out,
                                        const Tensor& lse, const Tensor& dout, const AttentionGrads&)> {
  static constexpr std::string_view name = "attention_backward";
  static constexpr bool minus_infinity_is_meant = true;
};

/// q [q rows, heads, dim], k and v [k rows, kv heads, dim] with heads a multiple of kv heads: head h reads kv
/// head h / (heads / kv heads). `spans` i32 [spans, 4] holds {q begin, q count, k begin, k count}; query
/// ranges must not overlap, key ranges may (a shared prefix). One op for packed texts, a KV cache and cross
/// attention. Rows in no span, and rows that see no key, are zero (their lse is -infinity). Throws ShapeError
/// for spans outside the tensors or with common queries, where the spans are on the CPU.
struct Attended {
  Tensor out;  // [q rows, heads, dim]
  Tensor lse;  // [heads, q rows], log of the sum of exponentials, in the statistics dtype
};
Attended attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                   const AttentionOptions& options);
void attention_into(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                    const AttentionOptions& options, const Attended& attended);
/// Writes those of `grads` that are not empty.
void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                        const AttentionOptions& options, const Attended& attended, const Tensor& dout,
                        const AttentionGrads& grads);

}  // namespace dehvf
