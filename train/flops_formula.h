// What a forward pass multiplies, in closed form: from sizes alone, as a paper would write it down. What the
// plan counts is held against it.
#pragma once

#include "models/fused_model.h"

namespace dehvf {

/// FLOPs, 2 for a multiplication and its addition; products only.
struct ForwardFlops {
  double vision = 0;  // patches and every block up to the deepest level that is looked at, its adapters too
  double operation = 0;  // the operator's own: CostReport
  double linears = 0;    // q, k, v, o, gate, up, down of every block, and the low rank beside them
  double attention = 0;  // half of the square
  double head = 0;       // logits of each sample's last token
  double sum() const { return vision + operation + linears + attention + head; }
};

/// Of a prompt of `length` tokens with its pictures (none where the operator looks at none) for each sample:
///   vision     images (2 N 3 p^2 w + blocks (2 n (4 w^2 + 2 w m) + 4 n^2 w + adapter))
///   linears    2 T layers (d (q + 2 kv) + q d + 3 d f), and 2 T r (in + out) for every low rank
///   attention  4 q layers (samples S (S + 1) / 2 + once): a token put in once sees itself
///   head       2 samples d vocab
/// with S = length + inserted tokens, T = samples S + once, n = N patches, a class token and registers, w and
/// m the tower's width and MLP, d, f, q, kv the language model's width, FFN and the widths of its queries and
/// keys.
ForwardFlops forward_flops(FusedModel& model, int64_t samples, int64_t length);

}  // namespace dehvf
