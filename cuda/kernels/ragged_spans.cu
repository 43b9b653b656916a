// count_s, offset_s = begin_s times the elements of a row; padded[s, h, i] = lse[h, begin_s + i].
//
// One block makes counts and offsets. To unpad, a block owns a row of queries; to pad, the row of one span
// and head; to clear, a row of one tensor.
#include <algorithm>

#include "cuda/kernels/ragged_spans.h"
#include "cuda/launch.cuh"
#include "cuda/spans.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kThreads = 128;

// Of a span, what sees something and is seen.
__device__ Span seeing(Span span, bool causal) {
  const int blind = causal && span.q_count > span.k_count ? span.q_count - span.k_count : 0;
  span.q += blind;
  span.q_count -= blind;
  if (span.q_count == 0 || span.k_count == 0) span.q_count = span.k_count = 0;
  return span;
}

__global__ void ragged_spans_kernel(const Span* spans, int count, bool causal, int64_t q_row, int64_t k_row,
                                    int32_t* q_counts, int32_t* k_counts, int64_t* q_offsets,
                                    int64_t* k_offsets) {
  for (int s = int(threadIdx.x); s < count; s += kThreads) {
    const Span span = seeing(spans[s], causal);
    q_counts[s] = span.q_count;
    k_counts[s] = span.k_count;
    q_offsets[s] = span.q * q_row;
    k_offsets[s] = span.k * k_row;
    if (s == count - 1) {
      q_offsets[count] = (int64_t(span.q) + span.q_count) * q_row;
      k_offsets[count] = (int64_t(span.k) + span.k_count) * k_row;
    }
  }
}

__global__ void unpad_attention_kernel(const float* padded, const Span* spans, int count, bool causal,
                                       int heads, int64_t bound, int64_t row_elements, uint16_t* out,
                                       float* lse) {
  const int64_t row = blockIdx.x, rows = gridDim.x;
  int s = 0;
  Span span{};
  for (; s < count; ++s) {
    span = seeing(spans[s], causal);
    if (row >= span.q && row < int64_t(span.q) + span.q_count) break;
  }
  const bool inside = s < count;
  for (int head = int(threadIdx.x); head < heads; head += kThreads)
    lse[head * rows + row] = inside ? padded[(int64_t(s) * heads + head) * bound + row - span.q] : -INFINITY;
  if (inside) return;
  for (int64_t i = threadIdx.x; i < row_elements; i += kThreads) out[row * row_elements + i] = 0;
}

__global__ void pad_attention_kernel(const float* lse, const Span* spans, bool causal, int heads,
                                     int64_t q_rows, int64_t bound, float* padded) {
  const int head = int(blockIdx.x) % heads;
  const Span span = seeing(spans[int(blockIdx.x) / heads], causal);
  for (int64_t i = threadIdx.x; i < bound; i += kThreads)
    padded[blockIdx.x * bound + i] = i < span.q_count ? lse[head * q_rows + span.q + i] : 0.0f;
}

struct Cleared {
  uint16_t* data[3];  // dq, dk, dv; any may be null
  int64_t rows[3], row_elements[3];
};

__global__ void attention_clear_rows_kernel(const Span* spans, int count, bool causal, Cleared cleared) {
  const int64_t row = blockIdx.x;
  const bool keys = blockIdx.y > 0;
  if (!cleared.data[blockIdx.y] || row >= cleared.rows[blockIdx.y]) return;
  for (int s = 0; s < count; ++s) {
    const Span span = seeing(spans[s], causal);
    const int64_t begin = keys ? span.k : span.q, end = begin + (keys ? span.k_count : span.q_count);
    if (row >= begin && row < end) return;
  }
  const int64_t elements = cleared.row_elements[blockIdx.y];
  for (int64_t i = threadIdx.x; i < elements; i += kThreads) cleared.data[blockIdx.y][row * elements + i] = 0;
}

const Span* data_of(const Tensor& spans) { return static_cast<const Span*>(spans.raw()); }

}  // namespace

RaggedSpans ragged_spans(const Tensor& q, const Tensor& k, const Tensor& spans,
                         const AttentionOptions& options) {
  const Device device = q.device();
  const int64_t count = spans.size(0);
  RaggedSpans made{Tensor({count}, DType::i32, device), Tensor({count}, DType::i32, device),
                   Tensor({count + 1}, DType::i64, device), Tensor({count + 1}, DType::i64, device)};
  launch({"ragged_spans"}, dim3(1), dim3(kThreads), 0, current_stream(device), ragged_spans_kernel,
         data_of(spans), int(count), options.causal, q.size(1) * q.size(2), k.size(1) * k.size(2),
         made.q_counts.data<int32_t>(), made.k_counts.data<int32_t>(), made.q_offsets.data<int64_t>(),
         made.k_offsets.data<int64_t>());
  return made;
}

void unpad_attention(const Tensor& padded, const Tensor& spans, const AttentionOptions& options,
                     const Tensor& out, const Tensor& lse) {
  launch({"unpad_attention"}, dim3(unsigned(out.size(0))), dim3(kThreads), 0, current_stream(out.device()),
         unpad_attention_kernel, padded.data<float>(), data_of(spans), int(spans.size(0)), options.causal,
         int(padded.size(1)), padded.size(2), out.size(1) * out.size(2), static_cast<uint16_t*>(out.raw()),
         lse.data<float>());
}

void pad_attention(const Tensor& lse, const Tensor& spans, const AttentionOptions& options,
                   const Tensor& padded, const AttentionGrads& grads) {
  const Stream stream = current_stream(lse.device());
  const int heads = int(padded.size(1));
  launch({"pad_attention"}, dim3(unsigned(padded.size(0) * heads)), dim3(kThreads), 0, stream,
         pad_attention_kernel, lse.data<float>(), data_of(spans), options.causal, heads, lse.size(1),
         padded.size(2), padded.data<float>());
  Cleared cleared{};
  int64_t rows = 0;
  for (int i = 0; const Tensor& x : grads.tensors()) {
    if (x.defined()) {
      cleared.data[i] = static_cast<uint16_t*>(x.raw());
      cleared.rows[i] = x.size(0);
      cleared.row_elements[i] = x.size(1) * x.size(2);
      rows = std::max(rows, x.size(0));
    }
    ++i;
  }
  launch({"attention_clear_rows"}, dim3(unsigned(rows), 3), dim3(kThreads), 0, stream,
         attention_clear_rows_kernel, data_of(spans), int(spans.size(0)), options.causal, cleared);
}

}  // namespace dehvf::cuda
