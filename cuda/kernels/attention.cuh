// What forward and backward of tiled attention share: sizes, tiles of heads, fragments made of sums.
#pragma once

#include <algorithm>
#include <initializer_list>

#include "cuda/element.cuh"
#include "cuda/kernels/attention.h"
#include "cuda/load.cuh"
#include "cuda/ptx/mma.cuh"
#include "cuda/spans.cuh"
#include "cuda/tile.cuh"

namespace dehvf::cuda {

inline constexpr int kHeadThreads = 128, kHeadWarps = 4;
inline constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

struct HeadSizes {
  int64_t q_rows, k_rows;
  int heads, kv_heads, dim, span_count;
  float scale;
  bool causal;
};

/// kDim: dim rounded up to 16. A row of a tile has room for it.
template <class T, int kRows, int kDim>
using HeadTile = Tile<T, kRows, kDim <= 64 ? 64 : 128>;

/// One head of rows [0, end) of x [rows, heads, dim]; what lies behind arrives as zeros.
template <class T>
__device__ MatrixView<T> head_of(const T* x, int64_t end, int heads, int head, int dim) {
  return {x + int64_t(head) * dim, end, dim, int64_t(heads) * dim};
}

/// Two sums as neighbours in one register.
template <class T>
__device__ uint32_t packed(float low, float high) {
  const T pair[2] = {rounded<T>(low), rounded<T>(high)};
  uint32_t bits;
  memcpy(&bits, pair, sizeof bits);
  return bits;
}

/// The sums of two neighbouring 16 x 8 products as the left side of a product along their columns.
template <class T>
__device__ void as_a(uint32_t (&a)[4], const float (&left)[4], const float (&right)[4]) {
  a[0] = packed<T>(left[0], left[1]), a[1] = packed<T>(left[2], left[3]);
  a[2] = packed<T>(right[0], right[1]), a[3] = packed<T>(right[2], right[3]);
}

/// sums[j] += rows of `a` (16 from `row` on) times rows of `b` (8 from 8 j on), along kDim.
template <class T, int kDim, int kPieces, class TileA, class TileB>
__device__ void multiply_rows(float (&sums)[kPieces][4], const TileA& a, int row, const TileB& b, int lane) {
#pragma unroll 2  // more would keep too many addresses in registers
  for (int depth = 0; depth < kDim; depth += 16) {
    uint32_t left[4];
    load_a<true>(left, a, row, depth, lane);
#pragma unroll
    for (int j = 0; j < kPieces; j += 2) {
      uint32_t right[4];
      load_b<true>(right, b, 8 * j, depth, lane);
      ptx::mma_m16n8k16<T>(sums[j], left, {right[0], right[1]});
      ptx::mma_m16n8k16<T>(sums[j + 1], left, {right[2], right[3]});
    }
  }
}

/// mixed (16 x kDim) += weights (16 x 8 kPieces, rounded to T) times the rows of `b`.
template <class T, int kDim, int kPieces, class Tile>
__device__ void multiply_weights(float (&mixed)[kDim / 8][4], const float (&weights)[kPieces][4],
                                 const Tile& b, int lane) {
#pragma unroll
  for (int j = 0; j < kPieces; j += 2) {
    uint32_t left[4];
    as_a<T>(left, weights[j], weights[j + 1]);
#pragma unroll
    for (int d = 0; d < kDim / 8; d += 2) {
      uint32_t right[4];
      load_b<false>(right, b, 8 * d, 8 * j, lane);
      ptx::mma_m16n8k16<T>(mixed[d], left, {right[0], right[1]});
      ptx::mma_m16n8k16<T>(mixed[d + 1], left, {right[2], right[3]});
    }
  }
}

/// Writes 16 x kDim sums, each row times its factor, to rows `first` to `end` of one head. Sums e of a piece
/// belong to row lane / 4 + 8 (e / 2), column 2 (lane % 4) + e % 2.
template <int kDim, class T>
__device__ void store_rows(const float (&sums)[kDim / 8][4], const float (&factors)[2], T* x, int64_t first,
                           int64_t end, int heads, int head, int dim, int lane) {
#pragma unroll
  for (int d = 0; d < kDim / 8; ++d)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int64_t row = first + lane / 4 + 8 * half;
      const int column = 8 * d + lane % 4 * 2;
      if (row >= end || column >= dim) continue;  // dim is a multiple of 8
      const Pack<T, 2> pair{rounded<T>(factors[half] * sums[d][2 * half]),
                            rounded<T>(factors[half] * sums[d][2 * half + 1])};
      store(x + (row * heads + head) * dim + column, pair);
    }
}

/// Calls fn(std::type_identity<T>{}, std::integral_constant<int, kDim>{}) where tiles can do it; false
/// elsewhere, where `others`, the tensors beside q, begin in the midst of a chunk for instance.
template <class Fn>
bool visit_tiled_heads(const Tensor& q, std::initializer_list<Tensor> others, const Fn& fn) {
  const int64_t dim = q.size(2);
  const auto whole = [](const Tensor& x) {
    return !x.defined() || reinterpret_cast<uintptr_t>(x.raw()) % 16 == 0;
  };
  if (dim % kChunk != 0 || dim > 128 || !whole(q) || !std::ranges::all_of(others, whole)) return false;
  const auto by_dim = [&]<class T>(std::type_identity<T> type) {
    if (dim <= 64) return fn(type, std::integral_constant<int, 64>{});
    if (dim <= 80) return fn(type, std::integral_constant<int, 80>{});
    return fn(type, std::integral_constant<int, 128>{});
  };
  if (q.dtype() == DType::bf16) return by_dim(std::type_identity<__nv_bfloat16>{}), true;
  if (q.dtype() == DType::f16) return by_dim(std::type_identity<__half>{}), true;
  return false;
}

inline HeadSizes head_sizes(const Tensor& q, const Tensor& k, const Tensor& spans,
                            const AttentionOptions& options) {
  return {q.size(0),      k.size(0),          int(q.size(1)),       int(k.size(1)),
          int(q.size(2)), int(spans.size(0)), float(options.scale), options.causal};
}

/// A tile of queries of one span.
struct QueryTile {
  Span span;
  int64_t first;  // counted from the span's begin; q_count or more where the block has nothing to do
};

/// The index-th tile of kRows queries, span after span.
template <int kRows>
__device__ QueryTile query_tile(const Span* spans, int count, int64_t index) {
  for (int s = 0; s < count; ++s) {
    const int64_t tiles = (int64_t(spans[s].q_count) + kRows - 1) / kRows;
    if (index < tiles) return {spans[s], index * kRows};
    index -= tiles;
  }
  return {{0, 0, 0, 0}, 0};
}

/// At least as many tiles as the spans have: known without reading them.
inline unsigned most_query_tiles(int64_t q_rows, int64_t spans, int rows) {
  return unsigned(q_rows / rows + spans);
}

}  // namespace dehvf::cuda
