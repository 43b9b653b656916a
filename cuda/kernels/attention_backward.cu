// p_ij = exp(scale q_i . k_j - lse_i),  ds_ij = scale p_ij (dout_i . v_j - delta_i)
// delta_i = out_i . dout_i,  dq_i = sum_j ds_ij k_j,  dk_j = sum_i ds_ij q_i,  dv_j = sum_i p_ij dout_i
//
// Scores are made again from the log-sum-exp. One kernel makes delta; one owns 64 queries of a head and sums
// dq over their keys; one owns 64 keys of a kv head and sums dk and dv over the spans that hold them, the
// heads of its group and their queries, in this order: no two blocks write the same sum. In both each of 4
// warps owns 16 rows, and the other side comes in tiles, the next of which is copied while one is worked on.
#include "cuda/kernels/attention.cuh"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kOwned = 64, kOther = 32, kPieces = kOther / 8;

// A warp owns a row of one head.
template <class T>
__global__ void attention_delta_kernel(const T* out, const T* dout, HeadSizes n, float* delta) {
  const int64_t index = int64_t(blockIdx.x) * kHeadWarps + threadIdx.x / kWarp, row = index / n.heads;
  if (row >= n.q_rows) return;
  const int64_t head = index % n.heads, at = index * n.dim;
  float sum = 0;
  for (int d = int(threadIdx.x) % kWarp; d < n.dim; d += kWarp)
    sum += widened(out[at + d]) * widened(dout[at + d]);
  sum = warp_sum(sum);
  if (threadIdx.x % kWarp == 0) delta[head * n.q_rows + row] = sum;
}

template <class T>
struct Inputs {
  const T *q, *k, *v, *dout;
  const Span* spans;
  const float *lse, *delta;  // [heads, q_rows]
};

// A weight and its slope from a score and dout . v.
__device__ void weigh(float& score, float& slope, bool seen, float lse, float delta, float scale) {
  const float weight = seen ? exp2f(kLog2E * (scale * score - lse)) : 0.0f;
  score = weight;
  slope = seen ? scale * weight * (slope - delta) : 0.0f;
}

template <class T, int kDim>
struct KeyStage {
  HeadTile<T, kOther, kDim> k, v;
};
template <class T, int kDim>
struct QueryTiles {
  HeadTile<T, kOwned, kDim> q, dout;
  KeyStage<T, kDim> stages[2];
};

template <class T, int kDim>
__global__ void __launch_bounds__(kHeadThreads) attention_dq_kernel(Inputs<T> in, HeadSizes n, T* dq) {
  const auto [span, first] = query_tile<kOwned>(in.spans, n.span_count, blockIdx.x);
  if (first >= span.q_count) return;
  const int head = int(blockIdx.y), kv_head = head / (n.heads / n.kv_heads);
  const int lane = int(threadIdx.x) % kWarp, row = int(threadIdx.x) / kWarp * 16;
  auto& tiles = *dynamic_shared<QueryTiles<T, kDim>>();
  const int64_t k_end = int64_t(span.k) + span.k_count, q_end = int64_t(span.q) + span.q_count;
  const auto k = head_of(in.k, k_end, n.kv_heads, kv_head, n.dim),
             v = head_of(in.v, k_end, n.kv_heads, kv_head, n.dim);
  const int64_t last = first + kOwned < span.q_count ? first + kOwned : span.q_count;
  const int steps = int((span.visible(int(last) - 1, n.causal) + kOther - 1) / kOther);
  const auto fetch = [&](int step) {
    if (step < steps) {
      copy_tile<kHeadThreads>(k, span.k + int64_t(step) * kOther, 0, tiles.stages[step % 2].k);
      copy_tile<kHeadThreads>(v, span.k + int64_t(step) * kOther, 0, tiles.stages[step % 2].v);
    }
    ptx::cp_async_commit();
  };
  copy_tile<kHeadThreads>(head_of(in.q, q_end, n.heads, head, n.dim), span.q + first, 0, tiles.q);
  copy_tile<kHeadThreads>(head_of(in.dout, q_end, n.heads, head, n.dim), span.q + first, 0, tiles.dout);
  fetch(0);
  float lse[2], delta[2], sums[kDim / 8][4] = {};
  int seen[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int mine = int(first) + row + lane / 4 + 8 * half;
    const bool inside = mine < span.q_count;
    seen[half] = inside ? span.visible(mine, n.causal) : 0;
    lse[half] = inside ? in.lse[head * n.q_rows + span.q + mine] : 0.0f;
    delta[half] = inside ? in.delta[head * n.q_rows + span.q + mine] : 0.0f;
  }
  for (int step = 0; step < steps; ++step) {
    fetch(step + 1);
    ptx::cp_async_wait<1>();
    __syncthreads();
    const auto& stage = tiles.stages[step % 2];
    float scores[kPieces][4] = {}, slopes[kPieces][4] = {};
    multiply_rows<T, kDim>(scores, tiles.q, row, stage.k, lane);
    multiply_rows<T, kDim>(slopes, tiles.dout, row, stage.v, lane);
#pragma unroll
    for (int j = 0; j < kPieces; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int key = step * kOther + 8 * j + lane % 4 * 2 + e % 2;
        weigh(scores[j][e], slopes[j][e], key < seen[e / 2], lse[e / 2], delta[e / 2], n.scale);
      }
    multiply_weights<T, kDim>(sums, slopes, stage.k, lane);
    __syncthreads();  // the stage may be filled again
  }
  ptx::cp_async_wait<0>();
  store_rows<kDim>(sums, {1, 1}, dq, span.q + first + row, q_end, n.heads, head, n.dim, lane);
}

// Two sums of 128 dims leave registers for 16 queries at a time.
template <int kDim>
inline constexpr int kQueries = kDim > 80 ? 16 : kOther;

template <class T, int kDim>
struct QueryStage {
  HeadTile<T, kQueries<kDim>, kDim> q, dout;
};
template <class T, int kDim>
struct KeyTiles {
  HeadTile<T, kOwned, kDim> k, v;
  QueryStage<T, kDim> stages[2];
};

// dk and dv of the queries of one span and head; both sums are of the warp's 16 keys.
template <class T, int kDim>
struct KeySums {
  float k[kDim / 8][4], v[kDim / 8][4];
};

template <class T, int kDim>
__device__ void add_queries(const Inputs<T>& in, const HeadSizes& n, const Span& span, int head,
                            int64_t tile_first, KeyTiles<T, kDim>& tiles, KeySums<T, kDim>& sums) {
  const int lane = int(threadIdx.x) % kWarp, row = int(threadIdx.x) / kWarp * 16;
  const int key_first = int(tile_first - span.k);  // of the tile, counted from the span's first key
  const int begin = span.first_query(key_first > 0 ? key_first : 0, n.causal);
  const int64_t q_end = int64_t(span.q) + span.q_count;
  const auto q = head_of(in.q, q_end, n.heads, head, n.dim),
             dout = head_of(in.dout, q_end, n.heads, head, n.dim);
  const int steps = begin < span.q_count ? (span.q_count - begin + kQueries<kDim> - 1) / kQueries<kDim> : 0;
  const auto fetch = [&](int step) {
    if (step < steps) {
      copy_tile<kHeadThreads>(q, span.q + begin + int64_t(step) * kQueries<kDim>, 0,
                              tiles.stages[step % 2].q);
      copy_tile<kHeadThreads>(dout, span.q + begin + int64_t(step) * kQueries<kDim>, 0,
                              tiles.stages[step % 2].dout);
    }
    ptx::cp_async_commit();
  };
  const float* const lse = in.lse + head * n.q_rows + span.q;
  const float* const delta = in.delta + head * n.q_rows + span.q;
  const int key[2] = {key_first + row + lane / 4, key_first + row + lane / 4 + 8};
  fetch(0);
  for (int step = 0; step < steps; ++step) {
    fetch(step + 1);
    ptx::cp_async_wait<1>();
    __syncthreads();
    const auto& stage = tiles.stages[step % 2];
    const int first = begin + step * kQueries<kDim> + lane % 4 * 2;
    float weights[kQueries<kDim> / 8][4] = {}, slopes[kQueries<kDim> / 8][4] = {};
    multiply_rows<T, kDim>(weights, tiles.k, row, stage.q, lane);
    multiply_rows<T, kDim>(slopes, tiles.v, row, stage.dout, lane);
#pragma unroll
    for (int j = 0; j < kQueries<kDim> / 8; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int query = first + 8 * j + e % 2;  // counted from the span's first
        const bool seen =
            query < span.q_count && key[e / 2] >= 0 && key[e / 2] < span.visible(query, n.causal);
        weigh(weights[j][e], slopes[j][e], seen, seen ? lse[query] : 0.0f, seen ? delta[query] : 0.0f,
              n.scale);
      }
    multiply_weights<T, kDim>(sums.v, weights, stage.dout, lane);
    multiply_weights<T, kDim>(sums.k, slopes, stage.q, lane);
    __syncthreads();  // the stage may be filled again
  }
}

// dk or dv may be null.
template <class T, int kDim>
__global__ void __launch_bounds__(kHeadThreads)
    attention_dkv_kernel(Inputs<T> in, HeadSizes n, T* dk, T* dv) {
  const int64_t first = int64_t(blockIdx.x) * kOwned, end = first + kOwned;
  const int kv_head = int(blockIdx.y), group = n.heads / n.kv_heads;
  const int lane = int(threadIdx.x) % kWarp, row = int(threadIdx.x) / kWarp * 16;
  auto& tiles = *dynamic_shared<KeyTiles<T, kDim>>();
  copy_tile<kHeadThreads>(head_of(in.k, n.k_rows, n.kv_heads, kv_head, n.dim), first, 0, tiles.k);
  copy_tile<kHeadThreads>(head_of(in.v, n.k_rows, n.kv_heads, kv_head, n.dim), first, 0, tiles.v);
  KeySums<T, kDim> sums{};
  for (int s = 0; s < n.span_count; ++s) {
    const Span span = in.spans[s];
    if (span.k >= end || int64_t(span.k) + span.k_count <= first) continue;
    for (int head = kv_head * group; head < (kv_head + 1) * group; ++head)
      add_queries(in, n, span, head, first, tiles, sums);
  }
  ptx::cp_async_commit();  // where no span holds the keys
  ptx::cp_async_wait<0>();
  if (dk) store_rows<kDim>(sums.k, {1, 1}, dk, first + row, n.k_rows, n.kv_heads, kv_head, n.dim, lane);
  if (dv) store_rows<kDim>(sums.v, {1, 1}, dv, first + row, n.k_rows, n.kv_heads, kv_head, n.dim, lane);
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                        const AttentionOptions& options, const Tensor& out, const Tensor& lse,
                        const Tensor& dout, const AttentionGrads& grads) {
  const auto launch_all = [&]<class T, int kDim>(std::type_identity<T>, std::integral_constant<int, kDim>) {
    const auto data = [](const Tensor& x) { return x.defined() ? static_cast<T*>(x.raw()) : nullptr; };
    const HeadSizes n = head_sizes(q, k, spans, options);
    const Stream stream = current_stream(q.device());
    const Tensor delta(lse.shape(), DType::f32, q.device());
    launch({"attention_delta"}, dim3(unsigned((n.q_rows * n.heads + kHeadWarps - 1) / kHeadWarps)),
           dim3(kHeadThreads), 0, stream, attention_delta_kernel<T>, data(out), data(dout), n,
           delta.data<float>());
    const Inputs<T> in{data(q),
                       data(k),
                       data(v),
                       data(dout),
                       static_cast<const Span*>(spans.raw()),
                       lse.data<float>(),
                       delta.data<float>()};
    if (grads.q) {
      backend(q.device()).fill_bytes(grads.q.raw(), 0, grads.q.bytes(), stream);  // rows in no span
      launch({"attention_dq"}, dim3(most_query_tiles(n.q_rows, n.span_count, kOwned), unsigned(n.heads)),
             dim3(kHeadThreads), sizeof(QueryTiles<T, kDim>), stream, attention_dq_kernel<T, kDim>, in, n,
             data(grads.q));
    }
    if (grads.k || grads.v)
      launch({"attention_dkv"}, dim3(unsigned((n.k_rows + kOwned - 1) / kOwned), unsigned(n.kv_heads)),
             dim3(kHeadThreads), sizeof(KeyTiles<T, kDim>), stream, attention_dkv_kernel<T, kDim>, in, n,
             data(grads.k), data(grads.v));
  };
  if (!visit_tiled_heads(q, {k, v, dout, grads.q, grads.k, grads.v}, launch_all))
    attention_backward_naive(q, k, v, spans, options, out, lse, dout, grads);
}

const Provide<AttentionBackward> provide_attention_backward{{kKernelDevice}, attention_backward};

}  // namespace
}  // namespace dehvf::cuda
