#include "cuda/c/dehvf_kernels.h"

#include "core/backend.h"
#include "core/error.h"
#include "core/ops/attention.h"
#include "core/ops/visual_rows.h"

namespace dehvf {
namespace {

thread_local std::string last_error;

// Never destroyed: when a host program ends, the CUDA runtime may be gone before the library.
void need_runtime() {
  static const Runtime* const runtime = new Runtime();
  (void)runtime;
}

template <class Body>
int guarded(const dehvf_place& place, const Body& body) {
  try {
    need_runtime();
    const Device device = place.device < 0 ? kCpu : Device{DeviceKind::cuda, place.device};
    backend(device);  // or the error that says what is there
    const StreamScope scope({device, place.stream});
    body(device);
    last_error.clear();
    return 0;
  } catch (const std::exception& error) {
    last_error = error.what();
    return 1;
  }
}

DType dtype_of_call(int dtype) {
  switch (dtype) {
    case DEHVF_F32:
      return DType::f32;
    case DEHVF_BF16:
      return DType::bf16;
    case DEHVF_F16:
      return DType::f16;
  }
  fail<DTypeError>("dtype ", dtype, ": wanted DEHVF_F32, DEHVF_BF16 or DEHVF_F16");
}

// The caller's memory as tensors.
struct Lender {
  Device device;
  Tensor operator()(std::string_view name, const void* data, const Shape& shape, DType dtype) const {
    require(data != nullptr || shape.count() == 0, name, " is NULL, wanted ", shape, " of ", dtype);
    return optional(data, shape, dtype);
  }
  Tensor optional(const void* data, const Shape& shape, DType dtype) const {
    if (!data) return {};
    const size_t bytes = size_t(shape.count()) * size_of(dtype);
    const auto caller = std::make_shared<int>(0);  // keeps the memory alive itself
    return {std::make_shared<Storage>(const_cast<void*>(data), bytes, device, caller), 0, shape, dtype};
  }
};

struct AttentionTensors {
  Tensor q, k, v, spans, out, lse;
  AttentionOptions options;
};

AttentionTensors tensors_of(const dehvf_attention_call& c, const Lender& lend) {
  const DType dtype = dtype_of_call(c.dtype);
  const Shape q{c.q_rows, c.heads, c.dim}, k{c.k_rows, c.kv_heads, c.dim};
  return {lend("q", c.q, q, dtype),
          lend("k", c.k, k, dtype),
          lend("v", c.v, k, dtype),
          lend("spans", c.spans, {c.span_count, 4}, DType::i32),
          lend("out", c.out, q, dtype),
          lend("lse", c.lse, {c.heads, c.q_rows}, DType::f32),
          {.causal = c.causal != 0, .scale = c.scale}};
}

struct RowsCall {
  Tensor x, output, scores;
  VisualRowsTensors rows;
  VisualRowsPlan plan;
};

RowsCall tensors_of(const dehvf_visual_rows_call& c, const Lender& lend) {
  const DType dtype = dtype_of_call(c.dtype);
  const Shape terms{c.images, c.terms, c.rank};
  return {lend("x", c.x, {c.tokens, c.width}, dtype),
          lend("output", c.output, {c.tokens, c.width}, dtype),
          lend("scores", c.scores, {c.tokens, c.slots}, DType::f32),
          {.slot_keys = lend("slot_keys", c.slot_keys, {c.slots, c.width}, dtype),
           .slot_values = lend("slot_values", c.slot_values, {c.slots, c.width}, dtype),
           .image_keys = lend.optional(c.image_keys, terms, dtype),
           .image_values = lend.optional(c.image_values, terms, dtype),
           .basis = lend.optional(c.basis, {c.width, c.rank}, dtype),
           .bias = lend.optional(c.bias, {c.width}, dtype)},
          {.sample_offsets = lend("sample_offsets", c.sample_offsets, {c.samples + 1}, DType::i32),
           .image_of = lend("image_of", c.image_of, {c.samples}, DType::i32),
           .lambda = c.lambda,
           .scale = c.scale}};
}

}  // namespace
}  // namespace dehvf

using namespace dehvf;

const char* dehvf_error(void) { return last_error.c_str(); }

int dehvf_attention(dehvf_place place, const dehvf_attention_call* call) {
  return guarded(place, [&](Device device) {
    const AttentionTensors t = tensors_of(*call, Lender{device});
    attention_into(t.q, t.k, t.v, t.spans, t.options, {t.out, t.lse});
  });
}

int dehvf_attention_backward(dehvf_place place, const dehvf_attention_call* call, const void* dout, void* dq,
                             void* dk, void* dv) {
  return guarded(place, [&](Device device) {
    const Lender lend{device};
    const AttentionTensors t = tensors_of(*call, lend);
    const AttentionGrads grads{lend.optional(dq, t.q.shape(), t.q.dtype()),
                               lend.optional(dk, t.k.shape(), t.k.dtype()),
                               lend.optional(dv, t.v.shape(), t.v.dtype())};
    attention_backward(t.q, t.k, t.v, t.spans, t.options, {t.out, t.lse},
                       lend("dout", dout, t.q.shape(), t.q.dtype()), grads);
  });
}

int dehvf_visual_rows(dehvf_place place, const dehvf_visual_rows_call* call) {
  return guarded(place, [&](Device device) {
    const RowsCall t = tensors_of(*call, Lender{device});
    visual_rows_into(t.x, t.rows, t.plan, {}, {t.output, t.scores});
  });
}

int dehvf_visual_rows_backward(dehvf_place place, const dehvf_visual_rows_call* call,
                               const dehvf_visual_rows_gradients* g) {
  return guarded(place, [&](Device device) {
    const Lender lend{device};
    const RowsCall t = tensors_of(*call, lend);
    const auto like = [&](float* data, const Tensor& shaped) {
      return shaped.defined() ? lend.optional(data, shaped.shape(), DType::f32) : Tensor();
    };
    visual_rows_backward(t.x, t.rows, t.plan, t.scores, lend("dy", g->dy, t.x.shape(), t.x.dtype()),
                         like(g->dx, t.x),
                         {.slot_keys = like(g->slot_keys, t.rows.slot_keys),
                          .slot_values = like(g->slot_values, t.rows.slot_values),
                          .image_keys = like(g->image_keys, t.rows.image_keys),
                          .image_values = like(g->image_values, t.rows.image_values),
                          .basis = like(g->basis, t.rows.basis),
                          .bias = like(g->bias, t.rows.bias)});
  });
}
