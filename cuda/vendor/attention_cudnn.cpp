// Attention by cuDNN: the fastest, by its own estimate, of its engines that repeat their results. Kernels of
// our own make what it wants to know of the spans, and fill the rows that it leaves.
#include "cuda/vendor/attention_cudnn.h"

#include "cuda/check.h"
#include "cuda/kernels/ragged_spans.h"

namespace dehvf::cuda {
namespace {

// Null where there is no library; for as long as the program runs, since the driver may be gone before a
// destructor would run.
AttentionPlans* plans() {
  static auto* const made = Cudnn::instance() ? new AttentionPlans(*Cudnn::instance()) : nullptr;
  return made;
}

// Null where the call has to go elsewhere.
const AttentionPlan* plan_for(const Tensor& q, const std::optional<AttentionKind>& kind) {
  if (!kind || !plans()) return nullptr;
  check(cudaSetDevice(q.device().index), "attention");
  const AttentionPlan& plan = plans()->plan(q.device().index, *kind);
  return plan.found() ? &plan : nullptr;
}

const AttentionPlan& checked(const AttentionPlan* plan, const Tensor& q, const Tensor& k) {
  require(plan != nullptr, "attention: cudnn does not take q ", q.shape(), ", k ", k.shape(), " of ",
          q.dtype(), "; the default variant does");
  return *plan;
}

void run(const AttentionPlan& plan, Device device, const AttentionData& data) {
  const Tensor workspace({plan.workspace()}, DType::u8, device);
  plans()->run(plan, device.index, native(current_stream(device)), data, workspace.raw());
}

Tensor statistics(const AttentionKind& kind, Device device) {
  return {{kind.spans, kind.heads, kind.q_bound}, DType::f32, device};
}

void attention_cudnn(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                     const AttentionOptions& options, const Tensor& out, const Tensor& lse) {
  const auto kind = attention_kind(q, k, spans, options, {k, v, out});
  const AttentionPlan& plan = checked(plan_for(q, kind), q, k);
  const RaggedSpans ragged = ragged_spans(q, k, spans, options);
  const Tensor padded = statistics(*kind, q.device());
  run(plan, q.device(),
      {.q = q.raw(),
       .k = k.raw(),
       .v = v.raw(),
       .out = out.raw(),
       .lse = padded.raw(),
       .q_counts = ragged.q_counts.raw(),
       .k_counts = ragged.k_counts.raw(),
       .q_offsets = ragged.q_offsets.raw(),
       .k_offsets = ragged.k_offsets.raw(),
       .scale = float(options.scale)});
  unpad_attention(padded, spans, options, out, lse);
}

void attention_backward_cudnn(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                              const AttentionOptions& options, const Tensor& out, const Tensor& lse,
                              const Tensor& dout, const AttentionGrads& grads) {
  const auto kind = attention_backward_kind(q, k, spans, options, {k, v, out, dout}, grads);
  const AttentionPlan& plan = checked(plan_for(q, kind), q, k);
  const Device device = q.device();
  const RaggedSpans ragged = ragged_spans(q, k, spans, options);
  const Tensor padded = statistics(*kind, device), sums = statistics(*kind, device);
  pad_attention(lse, spans, options, padded, grads);
  const auto wanted = [&](const Tensor& grad, const Tensor& like) {  // the library forms all three
    return grad ? grad : Tensor(like.shape(), like.dtype(), device);
  };
  const Tensor dq = wanted(grads.q, q), dk = wanted(grads.k, k), dv = wanted(grads.v, v);
  run(plan, device,
      {.q = q.raw(),
       .k = k.raw(),
       .v = v.raw(),
       .out = out.raw(),
       .lse = padded.raw(),
       .q_counts = ragged.q_counts.raw(),
       .k_counts = ragged.k_counts.raw(),
       .q_offsets = ragged.q_offsets.raw(),
       .k_offsets = ragged.k_offsets.raw(),
       .scale = float(options.scale),
       .backward = {{dout.raw(), sums.raw(), dq.raw(), dk.raw(), dv.raw()}}});
}

bool supports(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
              const AttentionOptions& options, const Tensor& out, const Tensor&) {
  return plan_for(q, attention_kind(q, k, spans, options, {k, v, out})) != nullptr;
}

bool supports_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                       const AttentionOptions& options, const Tensor& out, const Tensor&, const Tensor& dout,
                       const AttentionGrads& grads) {
  return plan_for(q, attention_backward_kind(q, k, spans, options, {k, v, out, dout}, grads)) != nullptr;
}

const Provide<Attention> provide_attention{{DeviceKind::cuda, "cudnn"}, {attention_cudnn, supports}};
const Provide<AttentionBackward> provide_backward{{DeviceKind::cuda, "cudnn"},
                                                  {attention_backward_cudnn, supports_backward}};

}  // namespace
}  // namespace dehvf::cuda
