// c = alpha a b (+ c) in f32 arithmetic for any dtypes, sizes and addresses.
// A block owns 64 x 64 elements of c and goes along k in steps of 16; each of its 256 threads owns 4 x 4 of
// them, 16 apart, so that neighbours read neighbouring words of shared memory.
#include "cuda/element.cuh"
#include "cuda/kernels/matmul.h"
#include "cuda/launch.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kTile = 64, kStep = 16, kThreads = 256, kOwned = 4, kApart = kTile / kOwned;

// Element (i, j) of the z-th matrix stands at z * batch + i * row + j * column.
struct Operand {
  const void* data;
  DType dtype;
  int64_t batch, row, column;
};

__device__ float element(const Operand& x, int64_t at) {
  if (x.dtype == DType::f32) return static_cast<const float*>(x.data)[at];
  if (x.dtype == DType::bf16) return widened(static_cast<const __nv_bfloat16*>(x.data)[at]);
  return widened(static_cast<const __half*>(x.data)[at]);
}

struct Tiles {
  float a[kStep][kTile + 1], b[kStep][kTile + 1];  // by k
};

// Columns of the tile go side by side where that is how they stand in memory.
__device__ void fill(float (&tile)[kStep][kTile + 1], const Operand& x, int64_t first, int64_t k_first,
                     int64_t across, int64_t k, int64_t by, int64_t by_k, int64_t from) {
  for (int i = int(threadIdx.x); i < kTile * kStep; i += kThreads) {
    const int side = by_k == 1 ? i / kStep : i % kTile, depth = by_k == 1 ? i % kStep : i / kTile;
    const bool inside = first + side < across && k_first + depth < k;
    tile[depth][side] = inside ? element(x, from + (first + side) * by + (k_first + depth) * by_k) : 0.0f;
  }
}

template <class C>
__global__ void __launch_bounds__(kThreads)
    matmul_tiled_kernel(Operand a, Operand b, C* c, int64_t m, int64_t n, int64_t k, float alpha,
                        bool accumulate) {
  const int64_t row = int64_t(blockIdx.y) * kTile, column = int64_t(blockIdx.x) * kTile, batch = blockIdx.z;
  const int x = int(threadIdx.x) % kApart, y = int(threadIdx.x) / kApart;
  Tiles& tiles = shared<Tiles>();
  float sum[kOwned][kOwned] = {};
  for (int64_t k_first = 0; k_first < k; k_first += kStep) {
    fill(tiles.a, a, row, k_first, m, k, a.row, a.column, batch * a.batch);
    fill(tiles.b, b, column, k_first, n, k, b.column, b.row, batch * b.batch);
    __syncthreads();
#pragma unroll
    for (int depth = 0; depth < kStep; ++depth) {
      float left[kOwned], right[kOwned];
#pragma unroll
      for (int i = 0; i < kOwned; ++i) {
        left[i] = tiles.a[depth][y + i * kApart];
        right[i] = tiles.b[depth][x + i * kApart];
      }
#pragma unroll
      for (int i = 0; i < kOwned; ++i)
#pragma unroll
        for (int j = 0; j < kOwned; ++j) sum[i][j] += left[i] * right[j];
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kOwned; ++i)
#pragma unroll
    for (int j = 0; j < kOwned; ++j) {
      const int64_t r = row + y + i * kApart, s = column + x + j * kApart;
      if (r >= m || s >= n) continue;
      C& out = c[(batch * m + r) * n + s];
      out = rounded<C>(accumulate ? widened(out) + alpha * sum[i][j] : alpha * sum[i][j]);
    }
}

Operand operand_of(const Tensor& x, bool transposed) {
  const int64_t rows = x.size(-2), columns = x.size(-1);
  return {x.raw(), x.dtype(), rows * columns, transposed ? 1 : columns, transposed ? columns : 1};
}

unsigned tiles_along(int64_t size) { return unsigned((size + kTile - 1) / kTile); }

}  // namespace

void matmul_tiled(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  const int64_t m = c.size(-2), n = c.size(-1), k = a.size(options.transpose_a ? -2 : -1);
  const int64_t batch = c.shape().rank() == 3 ? c.size(0) : 1;
  visit_element("matmul", c.dtype(), [&]<class C>(std::type_identity<C>) {
    launch({"matmul_tiled"}, dim3(tiles_along(n), tiles_along(m), unsigned(batch)), dim3(kThreads), 0,
           current_stream(c.device()), matmul_tiled_kernel<C>, operand_of(a, options.transpose_a),
           operand_of(b, options.transpose_b), static_cast<C*>(c.raw()), m, n, k, float(options.alpha),
           options.accumulate);
  });
}

}  // namespace dehvf::cuda
