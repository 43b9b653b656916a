// sum += a b for 64 x 64 elements that a block of 256 threads owns, 4 x 4 a thread, with sums in f32: on the
// tensor cores for operands of 16 bits, else in f32 arithmetic. Operands are asked for element by element, so
// that they may be made on the way.
#pragma once

#include "cuda/element.cuh"
#include "cuda/load.cuh"
#include "cuda/ptx/mma.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {

inline constexpr int kTile = 64, kOwn = 4, kAcross = kTile / kOwn, kThreads = kAcross * kAcross;

/// Calls put(i, k) for the thread's share of 64 x kDepth elements, neighbours along k or along i.
template <bool kByK, int kDepth, class Put>
__device__ void for_tile(const Put& put) {
#pragma unroll
  for (int part = 0; part < kTile * kDepth / kThreads; ++part) {
    const int at = int(threadIdx.x) + part * kThreads;
    kByK ? put(at / kDepth, at % kDepth) : put(at % kTile, at / kTile);
  }
}

struct FloatTiles {
  static constexpr int kDepth = 16;
  alignas(16) float a[kDepth][kTile + 4];  // 4 more: whole packs, and filled along k without many conflicts
  alignas(16) float b[kDepth][kTile + 4];
};

template <bool kAByK, bool kBByK, class A, class B>
__device__ void add_float_product(float (&sum)[kOwn][kOwn], int64_t depth, const A& a, const B& b) {
  constexpr int kDepth = FloatTiles::kDepth;
  auto& tiles = shared<FloatTiles>();
  const int column = int(threadIdx.x) % kAcross * kOwn, row = int(threadIdx.x) / kAcross * kOwn;
  for (int64_t k0 = 0; k0 < depth; k0 += kDepth) {
    __syncthreads();
    for_tile<kAByK, kDepth>([&](int i, int k) { tiles.a[k][i] = k0 + k < depth ? a(i, k0 + k) : 0.0f; });
    for_tile<kBByK, kDepth>([&](int i, int k) { tiles.b[k][i] = k0 + k < depth ? b(i, k0 + k) : 0.0f; });
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      const Pack<float, kOwn> left = load<kOwn>(&tiles.a[k][row]), right = load<kOwn>(&tiles.b[k][column]);
#pragma unroll
      for (int i = 0; i < kOwn; ++i)
#pragma unroll
        for (int j = 0; j < kOwn; ++j) sum[i][j] += left.items[i] * right.items[j];
    }
  }
}

template <class T>
struct HalfTiles {
  static constexpr int kDepth = 64, kRow = kDepth + 8;  // 8 more: a fragment's rows lie in different banks
  alignas(16) T a[kTile][kRow];
  alignas(16) T b[kTile][kRow];
};
struct SumTiles {
  alignas(16) float of[kTile][kTile + 4];
};

// A warp makes 16 rows by 32 columns; then each thread takes what it owns.
template <class T, bool kAByK, bool kBByK, class A, class B>
__device__ void add_half_product(float (&sum)[kOwn][kOwn], int64_t depth, const A& a, const B& b) {
  using Tiles = HalfTiles<T>;
  constexpr int kDepth = Tiles::kDepth;
  auto& tiles = shared<Tiles>();
  auto& sums = shared<SumTiles>().of;
  const int warp = int(threadIdx.x) / 32, g = int(threadIdx.x) % 32 / 4, t = int(threadIdx.x) % 4;
  const int row = warp / 2 * 16 + g, column = warp % 2 * 32;
  const auto pair = [](const T* at) { return *reinterpret_cast<const uint32_t*>(at); };
  float parts[4][4] = {};
  for (int64_t k0 = 0; k0 < depth; k0 += kDepth) {
    const int used = depth - k0 < kDepth ? int(depth - k0 + 15) / 16 * 16 : kDepth;
    __syncthreads();
    for_tile<kAByK, kDepth>([&](int i, int k) {
      if (k < used) tiles.a[i][k] = rounded<T>(k0 + k < depth ? a(i, k0 + k) : 0.0f);
    });
    for_tile<kBByK, kDepth>([&](int i, int k) {
      if (k < used) tiles.b[i][k] = rounded<T>(k0 + k < depth ? b(i, k0 + k) : 0.0f);
    });
    __syncthreads();
#pragma unroll
    for (int step = 0; step < kDepth; step += 16) {
      if (step >= used) break;
      const int k = step + 2 * t;
      const uint32_t left[4] = {pair(&tiles.a[row][k]), pair(&tiles.a[row + 8][k]),
                                pair(&tiles.a[row][k + 8]), pair(&tiles.a[row + 8][k + 8])};
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        const T* const right = tiles.b[column + 8 * n + g];
        ptx::mma_m16n8k16<T>(parts[n], left, {pair(right + k), pair(right + k + 8)});
      }
    }
  }
  __syncthreads();  // all have taken their sums of a product before
#pragma unroll
  for (int n = 0; n < 4; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e) sums[row + e / 2 * 8][column + 8 * n + 2 * t + e % 2] = parts[n][e];
  __syncthreads();
  const int own_column = int(threadIdx.x) % kAcross * kOwn, own_row = int(threadIdx.x) / kAcross * kOwn;
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    const Pack<float, kOwn> found = load<kOwn>(&sums[own_row + i][own_column]);
#pragma unroll
    for (int j = 0; j < kOwn; ++j) sum[i][j] += found.items[j];
  }
}

/// sum[i][j] += over k < depth of a(row, k) b(column, k), for the thread's rows and columns of the block's 64
/// each, both values of T; a and b are asked for those alone and give 0 outside. kAByK and kBByK say along
/// which index their memory is contiguous. All threads call it.
template <class T, bool kAByK, bool kBByK, class A, class B>
__device__ void add_product(float (&sum)[kOwn][kOwn], int64_t depth, const A& a, const B& b) {
  if constexpr (std::is_same_v<T, float>)
    add_float_product<kAByK, kBByK>(sum, depth, a, b);
  else
    add_half_product<T, kAByK, kBByK>(sum, depth, a, b);
}

}  // namespace dehvf::cuda
