// Softmax attention over spans of packed rows as one graph of cuDNN's operations.
#pragma once

#include <compare>
#include <map>
#include <mutex>

#include "core/ops/attention.h"
#include "cuda/vendor/cudnn_graph.h"

namespace dehvf::cuda {

/// What a plan is made for. Lengths of spans stand on the device only: what the host knows is a bound.
struct AttentionKind {
  bool backward, causal;
  DType dtype;
  int64_t spans, q_bound, k_bound, heads, kv_heads, dim;
  friend auto operator<=>(const AttentionKind&, const AttentionKind&) = default;
};

/// None where shapes, dtypes or addresses are not for the library, or there are many spans whose lengths are
/// not known. `others`: the tensors of 16-bit elements beside q. Bounds are rounded up, so that a few plans
/// do for batches of any length.
std::optional<AttentionKind> attention_kind(const Tensor& q, const Tensor& k, const Tensor& spans,
                                            const AttentionOptions& options,
                                            const std::vector<Tensor>& others);
/// Nor where two spans may share keys: what they add to a gradient would overwrite each other.
std::optional<AttentionKind> attention_backward_kind(const Tensor& q, const Tensor& k, const Tensor& spans,
                                                     const AttentionOptions& options,
                                                     std::vector<Tensor> others, const AttentionGrads& grads);

/// Rows are [rows, heads, dim], lse and sums f32 [spans, heads, q_bound].
struct AttentionData {
  const void *q, *k, *v, *out, *lse;
  const void *q_counts, *k_counts;    // i32 [spans]
  const void *q_offsets, *k_offsets;  // i64 [spans + 1], in elements
  float scale;
  struct Backward {
    const void *dout, *sums, *dq, *dk, *dv;
  };
  std::optional<Backward> backward = {};
};

class AttentionPlan {
 public:
  /// `device`: its index, or cuDNN's JSON for one that is not here.
  AttentionPlan(const Cudnn& cudnn, const AttentionKind& kind, const CudnnDevice& device);
  AttentionPlan(const AttentionPlan&) = delete;
  AttentionPlan& operator=(const AttentionPlan&) = delete;

  bool found() const { return plan_.has_value(); }        // false: the library has no engine for it
  int64_t workspace() const { return plan_->workspace; }  // bytes
  void run(cudnnHandle_t handle, const AttentionData& data, void* workspace) const;

 private:
  void describe_tensors();
  void describe_forward();
  void describe_backward();
  TensorId scores();
  TensorId hide_padding(TensorId scores);
  TensorId hide_later_keys(TensorId scores);
  void mix_by_keys(TensorId weights, TensorId rows, TensorId out);

  AttentionKind kind_;
  CudnnScope scope_;
  CudnnGraph graph_{scope_};
  struct {
    TensorId q, k, v, out, lse, q_counts, k_counts, q_offsets, k_offsets, scale, hidden;
    TensorId dout, sums, one, dq, dk, dv;
  } ids_{};
  std::optional<CudnnPlan> plan_;
};

/// The plans made so far, and the handles of the devices.
class AttentionPlans {
 public:
  explicit AttentionPlans(const Cudnn& cudnn) : cudnn_(cudnn) {}
  const AttentionPlan& plan(int device, const AttentionKind& kind);
  void run(const AttentionPlan& plan, int device, cudaStream_t stream, const AttentionData& data,
           void* workspace);

 private:
  const Cudnn& cudnn_;
  std::mutex mutex_;  // also held while a handle is on a stream
  std::map<int, cudnnHandle_t> handles_;
  std::map<std::pair<int, AttentionKind>, AttentionPlan> plans_;
};

}  // namespace dehvf::cuda
