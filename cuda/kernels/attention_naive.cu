// Attention as its definition says, for any dim up to 256:
//   p_ij = exp(scale q_i . k_j - lse_i),   out_i = sum_j p_ij v_j
//   ds_ij = scale p_ij (dout_i . v_j - out_i . dout_i),
//   dq_i = sum_j ds_ij k_j,   dk_j = sum_i ds_ij q_i,   dv_j = sum_i p_ij dout_i
// A block owns one row of one head. Its threads first take one partner row each and put that row's numbers
// into shared memory, then own the dims tid, tid + 128 of the sum over all partners.
#include "cuda/element.cuh"
#include "cuda/kernels/attention.h"
#include "cuda/launch.cuh"
#include "cuda/shared.cuh"
#include "cuda/spans.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kThreads = 128, kOwned = 2;

struct Sizes {
  int64_t q_rows, k_rows;
  int heads, kv_heads, dim, span_count;
  float scale;
  bool causal;
};

struct Partners {
  float first[kThreads], second[kThreads];
};

template <class A, class B>
__device__ float dot(const A* a, const B* b, int dim) {
  float sum = 0;
  for (int d = 0; d < dim; ++d) sum += widened(a[d]) * widened(b[d]);
  return sum;
}

template <class T>
__global__ void attention_naive_kernel(const T* q, const T* k, const T* v, const Span* spans, Sizes n, T* out,
                                       float* lse) {
  const int64_t row = blockIdx.x;
  const int head = int(blockIdx.y), kv_head = head / (n.heads / n.kv_heads), tid = int(threadIdx.x);
  const Span span = span_of_query(spans, n.span_count, row);
  const int64_t seen = span.q_count > 0 ? span.visible(int(row - span.q), n.causal) : 0;
  q += (row * n.heads + head) * n.dim;
  auto& weights = shared<Partners>().first;
  float top = -INFINITY, sum = 0, mixed[kOwned] = {};
  for (int64_t begin = 0; begin < seen; begin += kThreads) {
    const int64_t key = begin + tid, stride = int64_t(n.kv_heads) * n.dim, at = kv_head * n.dim;
    weights[tid] = key < seen ? n.scale * dot(q, k + (span.k + key) * stride + at, n.dim) : -INFINITY;
    __syncthreads();
    float new_top = top;
    for (int i = 0; i < kThreads; ++i) new_top = fmaxf(new_top, weights[i]);
    const float shrink = expf(top - new_top);
    sum *= shrink;
    for (float& m : mixed) m *= shrink;
    for (int i = 0; i < kThreads && begin + i < seen; ++i) {
      const float weight = expf(weights[i] - new_top);
      sum += weight;
      for (int o = 0; o < kOwned; ++o)
        if (const int d = tid + o * kThreads; d < n.dim)
          mixed[o] += weight * widened(v[(span.k + begin + i) * stride + at + d]);
    }
    top = new_top;
    __syncthreads();
  }
  for (int o = 0; o < kOwned; ++o)
    if (const int d = tid + o * kThreads; d < n.dim)
      out[(row * n.heads + head) * n.dim + d] = rounded<T>(seen > 0 ? mixed[o] / sum : 0.0f);
  if (tid == 0) lse[head * n.q_rows + row] = seen > 0 ? top + logf(sum) : -INFINITY;
}

// What query `row` of `head` gives to a key: its weight and the slope of its score.
struct Pair {
  float weight, slope;
};
template <class T>
__device__ Pair pair_of(const T* q, const T* k, const T* v, const T* out, const T* dout, float lse,
                        const Sizes& n) {
  const float weight = expf(n.scale * dot(q, k, n.dim) - lse);
  return {weight, n.scale * weight * (dot(dout, v, n.dim) - dot(out, dout, n.dim))};
}

template <class T>
__global__ void attention_naive_dq_kernel(const T* q, const T* k, const T* v, const Span* spans, Sizes n,
                                          const T* out, const float* lse, const T* dout, T* dq) {
  const int64_t row = blockIdx.x;
  const int head = int(blockIdx.y), kv_head = head / (n.heads / n.kv_heads), tid = int(threadIdx.x);
  const Span span = span_of_query(spans, n.span_count, row);
  const int64_t seen = span.q_count > 0 ? span.visible(int(row - span.q), n.causal) : 0;
  const int64_t mine = (row * n.heads + head) * n.dim, stride = int64_t(n.kv_heads) * n.dim;
  auto& slopes = shared<Partners>().first;
  float sum[kOwned] = {};
  for (int64_t begin = 0; begin < seen; begin += kThreads) {
    const int64_t key = begin + tid, at = (span.k + key) * stride + kv_head * n.dim;
    if (key < seen)
      slopes[tid] =
          pair_of(q + mine, k + at, v + at, out + mine, dout + mine, lse[head * n.q_rows + row], n).slope;
    __syncthreads();
    for (int i = 0; i < kThreads && begin + i < seen; ++i)
      for (int o = 0; o < kOwned; ++o)
        if (const int d = tid + o * kThreads; d < n.dim)
          sum[o] += slopes[i] * widened(k[(span.k + begin + i) * stride + kv_head * n.dim + d]);
    __syncthreads();
  }
  for (int o = 0; o < kOwned; ++o)
    if (const int d = tid + o * kThreads; d < n.dim) dq[mine + d] = rounded<T>(sum[o]);
}

// dk and dv of one key: over the spans in their order, the heads of its group, the queries that see it. dk or
// dv may be null.
template <class T>
__global__ void attention_naive_dkv_kernel(const T* q, const T* k, const T* v, const Span* spans, Sizes n,
                                           const T* out, const float* lse, const T* dout, T* dk, T* dv) {
  const int64_t key_row = blockIdx.x;
  const int kv_head = int(blockIdx.y), group = n.heads / n.kv_heads, tid = int(threadIdx.x);
  const int64_t mine = (key_row * n.kv_heads + kv_head) * n.dim;
  Partners& partners = shared<Partners>();
  float sum_k[kOwned] = {}, sum_v[kOwned] = {};
  for (int s = 0; s < n.span_count; ++s) {
    const Span span = spans[s];
    const int64_t key = key_row - span.k;
    if (key < 0 || key >= span.k_count) continue;
    for (int head = kv_head * group; head < (kv_head + 1) * group; ++head)
      for (int64_t begin = span.first_query(int(key), n.causal); begin < span.q_count; begin += kThreads) {
        const int64_t row = span.q + begin + tid, at = (row * n.heads + head) * n.dim;
        if (begin + tid < span.q_count) {
          const Pair pair =
              pair_of(q + at, k + mine, v + mine, out + at, dout + at, lse[head * n.q_rows + row], n);
          partners.first[tid] = pair.slope;
          partners.second[tid] = pair.weight;
        }
        __syncthreads();
        for (int i = 0; i < kThreads && begin + i < span.q_count; ++i)
          for (int o = 0; o < kOwned; ++o)
            if (const int d = tid + o * kThreads; d < n.dim) {
              const int64_t from = ((span.q + begin + i) * n.heads + head) * n.dim + d;
              sum_k[o] += partners.first[i] * widened(q[from]);
              sum_v[o] += partners.second[i] * widened(dout[from]);
            }
        __syncthreads();
      }
  }
  for (int o = 0; o < kOwned; ++o)
    if (const int d = tid + o * kThreads; d < n.dim) {
      if (dk) dk[mine + d] = rounded<T>(sum_k[o]);
      if (dv) dv[mine + d] = rounded<T>(sum_v[o]);
    }
}

Sizes sizes_of(const Tensor& q, const Tensor& k, const Tensor& spans, const AttentionOptions& options) {
  require(q.size(2) <= kThreads * kOwned, "attention: heads have ", q.size(2), " dims, wanted at most ",
          kThreads * kOwned, " on ", q.device());
  return {q.size(0),      k.size(0),          int(q.size(1)),       int(k.size(1)),
          int(q.size(2)), int(spans.size(0)), float(options.scale), options.causal};
}

}  // namespace

void attention_naive(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                     const AttentionOptions& options, const Tensor& out, const Tensor& lse) {
  visit_element("attention", q.dtype(), [&]<class T>(std::type_identity<T>) {
    const auto data = [](const Tensor& x) { return static_cast<T*>(x.raw()); };
    launch({"attention_naive"}, dim3(unsigned(q.size(0)), unsigned(q.size(1))), dim3(kThreads), 0,
           current_stream(q.device()), attention_naive_kernel<T>, data(q), data(k), data(v),
           static_cast<const Span*>(spans.raw()), sizes_of(q, k, spans, options), data(out),
           lse.data<float>());
  });
}

void attention_backward_naive(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                              const AttentionOptions& options, const Tensor& out, const Tensor& lse,
                              const Tensor& dout, const AttentionGrads& grads) {
  visit_element("attention_backward", q.dtype(), [&]<class T>(std::type_identity<T>) {
    const auto data = [](const Tensor& x) { return x.defined() ? static_cast<T*>(x.raw()) : nullptr; };
    const auto* const span_data = static_cast<const Span*>(spans.raw());
    const Sizes n = sizes_of(q, k, spans, options);
    const Stream stream = current_stream(q.device());
    if (grads.q)
      launch({"attention_naive_dq"}, dim3(unsigned(n.q_rows), unsigned(n.heads)), dim3(kThreads), 0, stream,
             attention_naive_dq_kernel<T>, data(q), data(k), data(v), span_data, n, data(out),
             lse.data<float>(), data(dout), data(grads.q));
    if (grads.k || grads.v)
      launch({"attention_naive_dkv"}, dim3(unsigned(n.k_rows), unsigned(n.kv_heads)), dim3(kThreads), 0,
             stream, attention_naive_dkv_kernel<T>, data(q), data(k), data(v), span_data, n, data(out),
             lse.data<float>(), data(dout), data(grads.k), data(grads.v));
  });
}

namespace {

const Provide<Attention> provide_naive{{kKernelDevice, "naive"}, attention_naive};
const Provide<AttentionBackward> provide_backward_naive{{kKernelDevice, "naive"}, attention_backward_naive};

}  // namespace
}  // namespace dehvf::cuda
