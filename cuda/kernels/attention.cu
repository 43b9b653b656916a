// out_i = sum_j p_ij v_j with p_ij = exp(scale q_i . k_j - lse_i), in one pass over the keys: the largest
// score so far and the sum of exponentials are kept for each row, and what was added before is shrunk when a
// larger score comes.
//
// A block owns 64 queries of one head and goes through their keys in tiles of 64, the next of which is copied
// while one is worked on. Each of its 4 warps owns 16 queries: their scores stay in registers and become the
// left side of the product with v.
#include "cuda/kernels/attention.cuh"
#include "cuda/launch.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kQueries = 64, kKeys = 64, kPieces = kKeys / 8;

template <class T, int kDim>
struct Stage {
  HeadTile<T, kKeys, kDim> k, v;
};
template <class T, int kDim>
struct Tiles {
  HeadTile<T, kQueries, kDim> q;
  Stage<T, kDim> stages[2];
};

// Of the two rows of a lane, lane / 4 and 8 further.
struct RowState {
  float top[2] = {-INFINITY, -INFINITY};  // largest score, in powers of two
  float sum[2] = {};                      // of this lane's columns
};

// Scores become weights; returns by what older sums shrink. `seen`: how many keys of the tile each row sees.
__device__ void weigh(float (&scores)[kPieces][4], RowState& state, const int (&seen)[2], float scale,
                      int lane, float (&shrink)[2]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float top = state.top[half];
#pragma unroll
    for (int j = 0; j < kPieces; ++j)
#pragma unroll
      for (int e = 2 * half; e < 2 * half + 2; ++e) {
        const bool hidden = 8 * j + lane % 4 * 2 + e % 2 >= seen[half];
        scores[j][e] = hidden ? -INFINITY : scores[j][e] * scale;
        top = fmaxf(top, scores[j][e]);
      }
    for (int offset = 1; offset < 4; offset *= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, offset));
    const float base = top == -INFINITY ? 0.0f : top;  // of a row that has seen nothing yet
    shrink[half] = exp2f(state.top[half] - base);
    state.top[half] = top;
    state.sum[half] *= shrink[half];
#pragma unroll
    for (int j = 0; j < kPieces; ++j)
#pragma unroll
      for (int e = 2 * half; e < 2 * half + 2; ++e) {
        scores[j][e] = exp2f(scores[j][e] - base);
        state.sum[half] += scores[j][e];
      }
  }
}

template <class T, int kDim>
__global__ void __launch_bounds__(kHeadThreads)
    attention_kernel(const T* q, const T* k, const T* v, const Span* spans, HeadSizes n, T* out, float* lse) {
  const auto [span, first] = query_tile<kQueries>(spans, n.span_count, blockIdx.x);
  if (first >= span.q_count) return;
  const int head = int(blockIdx.y), kv_head = head / (n.heads / n.kv_heads);
  const int lane = int(threadIdx.x) % 32, row = int(threadIdx.x) / 32 * 16;
  auto& tiles = *dynamic_shared<Tiles<T, kDim>>();
  const int64_t k_end = int64_t(span.k) + span.k_count, q_end = int64_t(span.q) + span.q_count;
  const auto k_view = head_of(k, k_end, n.kv_heads, kv_head, n.dim),
             v_view = head_of(v, k_end, n.kv_heads, kv_head, n.dim);
  const int64_t last = first + kQueries < span.q_count ? first + kQueries : span.q_count;
  const int64_t all_seen = span.visible(int(last) - 1, n.causal);
  const int steps = int((all_seen + kKeys - 1) / kKeys);
  const auto fetch = [&](int step) {
    if (step < steps) {
      copy_tile<kHeadThreads>(k_view, span.k + int64_t(step) * kKeys, 0, tiles.stages[step % 2].k);
      copy_tile<kHeadThreads>(v_view, span.k + int64_t(step) * kKeys, 0, tiles.stages[step % 2].v);
    }
    ptx::cp_async_commit();
  };
  copy_tile<kHeadThreads>(head_of(q, q_end, n.heads, head, n.dim), span.q + first, 0, tiles.q);
  fetch(0);
  RowState state;
  float mixed[kDim / 8][4] = {};
  for (int step = 0; step < steps; ++step) {
    fetch(step + 1);
    ptx::cp_async_wait<1>();
    __syncthreads();
    float scores[kPieces][4] = {}, shrink[2];
    multiply_rows<T, kDim>(scores, tiles.q, row, tiles.stages[step % 2].k, lane);
    int seen[2];
#pragma unroll
    for (int half = 0; half < 2; ++half)
      seen[half] = span.visible(int(first) + row + lane / 4 + 8 * half, n.causal) - step * kKeys;
    weigh(scores, state, seen, n.scale * kLog2E, lane, shrink);
#pragma unroll
    for (int d = 0; d < kDim / 8; ++d)
#pragma unroll
      for (int e = 0; e < 4; ++e) mixed[d][e] *= shrink[e / 2];
    multiply_weights<T, kDim>(mixed, scores, tiles.stages[step % 2].v, lane);
    __syncthreads();  // the stage may be filled again
  }
  ptx::cp_async_wait<0>();
  float factors[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float sum = state.sum[half];
    for (int offset = 1; offset < 4; offset *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
    factors[half] = sum > 0 ? 1 / sum : 0.0f;
    const int64_t at = span.q + first + row + lane / 4 + 8 * half;
    if (lane % 4 == 0 && at < q_end)
      lse[head * n.q_rows + at] = sum > 0 ? (state.top[half] + log2f(sum)) * kLn2 : -INFINITY;
  }
  store_rows<T, kDim>(mixed, factors, out, span.q + first + row, q_end, n.heads, head, n.dim, lane);
}

// Rows in no span: zero, their lse minus infinity. A block owns a row.
template <class T>
__global__ void attention_clear_kernel(const Span* spans, HeadSizes n, T* out, float* lse) {
  const int64_t row = blockIdx.x;
  if (span_of_query(spans, n.span_count, row).q_count > 0) return;
  for (int i = int(threadIdx.x); i < n.heads * n.dim; i += kHeadThreads)
    out[row * n.heads * n.dim + i] = rounded<T>(0.0f);
  for (int head = int(threadIdx.x); head < n.heads; head += kHeadThreads)
    lse[head * n.q_rows + row] = -INFINITY;
}

void attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
               const AttentionOptions& options, const Tensor& out, const Tensor& lse) {
  const bool tiled =
      visit_tiled_heads(q, [&]<class T, int kDim>(std::type_identity<T>, std::integral_constant<int, kDim>) {
        const auto data = [](const Tensor& x) { return static_cast<T*>(x.raw()); };
        const auto* const span_data = static_cast<const Span*>(spans.raw());
        const HeadSizes n = head_sizes(q, k, spans, options);
        const Stream stream = current_stream(q.device());
        launch({"attention_clear"}, dim3(unsigned(n.q_rows)), dim3(kHeadThreads), 0, stream,
               attention_clear_kernel<T>, span_data, n, data(out), lse.data<float>());
        launch({"attention"}, dim3(most_query_tiles(n.q_rows, n.span_count, kQueries), unsigned(n.heads)),
               dim3(kHeadThreads), sizeof(Tiles<T, kDim>), stream, attention_kernel<T, kDim>, data(q),
               data(k), data(v), span_data, n, data(out), lse.data<float>());
      });
  if (!tiled) attention_naive(q, k, v, spans, options, out, lse);
}

const Provide<Attention> provide_attention{{kKernelDevice}, attention};

}  // namespace
}  // namespace dehvf::cuda
