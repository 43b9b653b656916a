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

// One of several blocks that share the keys of a tile of queries; out and lse are then of one part each,
// [parts, ...].
struct Part {
  int begin, end;  // keys, counted from the span's first
};
__device__ Part part_of(const Span& span, int index, int parts) {
  const int tiles = (span.k_count + kKeys - 1) / kKeys, each = (tiles + parts - 1) / parts * kKeys;
  return {index * each, (index + 1) * each < span.k_count ? (index + 1) * each : span.k_count};
}

template <class T, int kDim, class Out>
__global__ void __launch_bounds__(kHeadThreads)
    attention_kernel(const T* q, const T* k, const T* v, const Span* spans, HeadSizes n, Out* out,
                     float* lse) {
  const auto [span, first] = query_tile<kQueries>(spans, n.span_count, blockIdx.x);
  if (first >= span.q_count) return;
  const int head = int(blockIdx.y), kv_head = head / (n.heads / n.kv_heads);
  const int lane = int(threadIdx.x) % 32, row = int(threadIdx.x) / 32 * 16;
  auto& tiles = *dynamic_shared<Tiles<T, kDim>>();
  const int64_t k_end = int64_t(span.k) + span.k_count, q_end = int64_t(span.q) + span.q_count;
  const auto k_view = head_of(k, k_end, n.kv_heads, kv_head, n.dim),
             v_view = head_of(v, k_end, n.kv_heads, kv_head, n.dim);
  const Part part = part_of(span, int(blockIdx.z), int(gridDim.z));
  const int last = int(first) + kQueries < span.q_count ? int(first) + kQueries : span.q_count;
  const int all_seen = span.visible(last - 1, n.causal), end = all_seen < part.end ? all_seen : part.end;
  const int steps = end > part.begin ? (end - part.begin + kKeys - 1) / kKeys : 0;
  const auto fetch = [&](int step) {
    if (step < steps) {
      const int64_t key = int64_t(span.k) + part.begin + step * kKeys;
      copy_tile<kHeadThreads>(k_view, key, 0, tiles.stages[step % 2].k);
      copy_tile<kHeadThreads>(v_view, key, 0, tiles.stages[step % 2].v);
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
    for (int half = 0; half < 2; ++half) {
      const int visible = span.visible(int(first) + row + lane / 4 + 8 * half, n.causal);
      seen[half] = (visible < part.end ? visible : part.end) - part.begin - step * kKeys;
    }
    weigh(scores, state, seen, n.scale * kLog2E, lane, shrink);
#pragma unroll
    for (int d = 0; d < kDim / 8; ++d)
#pragma unroll
      for (int e = 0; e < 4; ++e) mixed[d][e] *= shrink[e / 2];
    multiply_weights<T, kDim>(mixed, scores, tiles.stages[step % 2].v, lane);
    __syncthreads();  // the stage may be filled again
  }
  ptx::cp_async_wait<0>();
  out += blockIdx.z * n.q_rows * n.heads * n.dim;
  lse += blockIdx.z * n.q_rows * n.heads;
  float factors[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float sum = state.sum[half];
    for (int offset = 1; offset < 4; offset *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
    factors[half] = sum == 0 ? 0.0f : 1 / sum;
    const int64_t at = span.q + first + row + lane / 4 + 8 * half;
    if (lane % 4 == 0 && at < q_end)
      lse[head * n.q_rows + at] = sum == 0 ? -INFINITY : (state.top[half] + log2f(sum)) * kLn2;
  }
  store_rows<kDim>(mixed, factors, out, span.q + first + row, q_end, n.heads, head, n.dim, lane);
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

// out = sum over the parts of exp(lse_part - lse) out_part, lse the logarithm of the sum of their
// exponentials. A block owns a row.
template <class T>
__global__ void attention_join_kernel(const Span* spans, HeadSizes n, int parts, const float* part_out,
                                      const float* part_lse, T* out, float* lse) {
  const int64_t row = blockIdx.x, all = n.q_rows * n.heads;
  const bool inside = span_of_query(spans, n.span_count, row).q_count > 0;
  for (int i = int(threadIdx.x); i < n.heads * n.dim; i += kHeadThreads) {
    const int64_t head = i / n.dim, at = head * n.q_rows + row;
    float top = -INFINITY, sum = 0, mixed = 0;
    for (int part = 0; inside && part < parts; ++part) top = fmaxf(top, part_lse[part * all + at]);
    const float base = top == -INFINITY ? 0.0f : top;  // where no part has seen a key, or all are NaN
    for (int part = 0; inside && part < parts; ++part) {
      const float weight = expf(part_lse[part * all + at] - base);
      sum += weight;
      mixed += weight * part_out[part * all * n.dim + row * n.heads * n.dim + i];
    }
    out[row * n.heads * n.dim + i] = rounded<T>(sum == 0 ? 0.0f : mixed / sum);
    if (i % n.dim == 0) lse[at] = sum == 0 ? -INFINITY : top + logf(sum);
  }
}

// Few queries leave most multiprocessors idle: then several blocks share their keys, by sizes that the host
// knows.
int parts_of(const HeadSizes& n) {
  constexpr int64_t kFewQueries = 16, kFewBlocks = 128, kShortest = 256, kMost = 16;
  const int64_t spans = std::max(1, n.span_count), blocks = spans * n.heads;
  if (n.q_rows > kFewQueries * spans || blocks >= kFewBlocks) return 1;
  return int(std::clamp<int64_t>(std::min(2 * kFewBlocks / blocks, n.k_rows / spans / kShortest), 1, kMost));
}

template <class T, int kDim>
void attention_as(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                  const AttentionOptions& options, const Tensor& out, const Tensor& lse) {
  const auto data = [](const Tensor& x) { return static_cast<T*>(x.raw()); };
  const auto* const span_data = static_cast<const Span*>(spans.raw());
  const HeadSizes n = head_sizes(q, k, spans, options);
  const Stream stream = current_stream(q.device());
  const int parts = parts_of(n);
  const dim3 rows(static_cast<unsigned>(n.q_rows)), threads(kHeadThreads);
  const auto attend = [&]<class Out>(Out* to, float* lse_to) {
    launch({"attention"},
           dim3(most_query_tiles(n.q_rows, n.span_count, kQueries), unsigned(n.heads), unsigned(parts)),
           threads, sizeof(Tiles<T, kDim>), stream, attention_kernel<T, kDim, Out>, data(q), data(k), data(v),
           span_data, n, to, lse_to);
  };
  if (parts == 1) {
    launch({"attention_clear"}, rows, threads, 0, stream, attention_clear_kernel<T>, span_data, n, data(out),
           lse.data<float>());
    return attend(data(out), lse.data<float>());
  }
  const Tensor part_out({parts, n.q_rows, n.heads, n.dim}, DType::f32, q.device());
  const Tensor part_lse({parts, n.heads, n.q_rows}, DType::f32, q.device());
  attend(part_out.data<float>(), part_lse.data<float>());
  launch({"attention_join"}, rows, threads, 0, stream, attention_join_kernel<T>, span_data, n, parts,
         part_out.data<float>(), part_lse.data<float>(), data(out), lse.data<float>());
}

void attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
               const AttentionOptions& options, const Tensor& out, const Tensor& lse) {
  const auto attend = [&]<class T, int kDim>(std::type_identity<T>, std::integral_constant<int, kDim>) {
    attention_as<T, kDim>(q, k, v, spans, options, out, lse);
  };
  if (!visit_tiled_heads(q, {k, v, out}, attend)) attention_naive(q, k, v, spans, options, out, lse);
}

const Provide<Attention> provide_attention{{kKernelDevice}, attention};

}  // namespace
}  // namespace dehvf::cuda
