// The attention kernels by name; the default ones fall back to the naive.
#pragma once

#include "core/ops/attention.h"

namespace dehvf::cuda {

void attention_naive(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                     const AttentionOptions& options, const Tensor& out, const Tensor& lse);
void attention_backward_naive(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                              const AttentionOptions& options, const Tensor& out, const Tensor& lse,
                              const Tensor& dout, const AttentionGrads& grads);

}  // namespace dehvf::cuda
