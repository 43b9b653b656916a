#include <algorithm>
#include <bit>

#include "cuda/vendor/attention_cudnn.h"

namespace dehvf::cuda {
namespace {

constexpr int64_t kMostPadding = 16;  // rows that there may be for each that there is

// What a span has at most, of `rows`; at most eight values an octave.
int64_t bound_of(int64_t rows, const AttentionOptions& options) {
  if (options.longest > 0) rows = std::min(rows, options.longest);
  const int64_t step = std::max<int64_t>(64, int64_t(std::bit_floor(uint64_t(rows))) / 8);
  return (rows + step - 1) / step * step;
}

bool aligned(const Tensor& x) { return reinterpret_cast<uintptr_t>(x.raw()) % kCudnnAlignment == 0; }

}  // namespace

std::optional<AttentionKind> attention_kind(const Tensor& q, const Tensor& k, const Tensor& spans,
                                            const AttentionOptions& options,
                                            const std::vector<Tensor>& others) {
  const bool known = q.dtype() == DType::bf16 || q.dtype() == DType::f16;
  if (!known || q.size(2) % 8 != 0 || q.count() == 0 || k.count() == 0 || spans.size(0) == 0) return {};
  if (!aligned(q) || !std::ranges::all_of(others, aligned)) return {};
  const AttentionKind kind{.backward = false,
                           .causal = options.causal,
                           .dtype = q.dtype(),
                           .spans = spans.size(0),
                           .q_bound = bound_of(q.size(0), options),
                           .k_bound = bound_of(k.size(0), options),
                           .heads = q.size(1),
                           .kv_heads = k.size(1),
                           .dim = q.size(2)};
  if (kind.spans * kind.q_bound > kMostPadding * std::max<int64_t>(q.size(0), 1024)) return {};
  return kind;
}

std::optional<AttentionKind> attention_backward_kind(const Tensor& q, const Tensor& k, const Tensor& spans,
                                                     const AttentionOptions& options,
                                                     std::vector<Tensor> others,
                                                     const AttentionGrads& grads) {
  if (spans.size(0) > 1 && !options.own_keys) return {};
  for (const Tensor& grad : grads.tensors())
    if (grad) others.push_back(grad);
  auto kind = attention_kind(q, k, spans, options, others);
  if (kind) kind->backward = true;
  return kind;
}

const AttentionPlan& AttentionPlans::plan(int device, const AttentionKind& kind) {
  const std::lock_guard lock(mutex_);
  return plans_.try_emplace({device, kind}, cudnn_, kind, device).first->second;
}

void AttentionPlans::run(const AttentionPlan& plan, int device, cudaStream_t stream,
                         const AttentionData& data, void* workspace) {
  const std::lock_guard lock(mutex_);
  cudnnHandle_t& handle = handles_[device];
  if (!handle) cudnn_.check(cudnn_.create(&handle), "attention", "cudnnCreate");
  cudnn_.check(cudnn_.set_stream(handle, stream), "attention", "cudnnSetStream");
  plan.run(handle, data, workspace);
}

}  // namespace dehvf::cuda
