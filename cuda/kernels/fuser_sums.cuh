// Gradients of the fuser's parameters and levels: sums over rows that its blocks left in global memory, each
// by one block of threads in the order of the rows.
#pragma once

#include "cuda/kernels/fuser.cuh"
#include "cuda/launch.cuh"

namespace dehvf::cuda {

/// dweight [out, in] = dy^T x, dbias [out] = dy^T 1; either may be null.
struct OuterSum {
  const float *x, *dy;
  float *dweight, *dbias;
  int64_t rows;
  int in, out;
};
inline constexpr int kMostOuterSums = 6 * kFuserMostBlocks + 4, kSumTile = 32;
struct OuterSums {
  OuterSum of[kMostOuterSums];
};
struct OuterTiles {
  float x[kSumTile][kSumTile], dy[kSumTile][kSumTile];
};

// Block (i, j, k) owns the j-th 32 outputs by the i-th 32 inputs of sum k; a warp every fourth output, a lane
// an input.
inline __global__ void fuser_outer_sums_kernel(OuterSums sums) {
  const OuterSum sum = sums.of[blockIdx.z];
  const int in0 = int(blockIdx.x) * kSumTile, out0 = int(blockIdx.y) * kSumTile;
  if (in0 >= sum.in || out0 >= sum.out) return;
  auto& tiles = shared<OuterTiles>();
  constexpr int kOwn = kSumTile / kFuserWarps;
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  float weight[kOwn] = {}, bias[kOwn] = {};
  for (int64_t row0 = 0; row0 < sum.rows; row0 += kSumTile) {
    for (int r = warp; r < kSumTile; r += kFuserWarps) {
      const bool inside = row0 + r < sum.rows;
      tiles.x[r][lane] = inside && in0 + lane < sum.in ? sum.x[(row0 + r) * sum.in + in0 + lane] : 0.0f;
      tiles.dy[r][lane] = inside && out0 + lane < sum.out ? sum.dy[(row0 + r) * sum.out + out0 + lane] : 0.0f;
    }
    __syncthreads();
    for (int r = 0; r < kSumTile; ++r)
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
        const float d = tiles.dy[r][warp + i * kFuserWarps];
        weight[i] += d * tiles.x[r][lane];
        bias[i] += d;
      }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    const int out = out0 + warp + i * kFuserWarps, in = in0 + lane;
    if (out >= sum.out) break;
    if (sum.dweight && in < sum.in) sum.dweight[int64_t(out) * sum.in + in] = weight[i];
    if (sum.dbias && in == 0) sum.dbias[out] = bias[i];
  }
}

/// out[v, c] = sum over i < outer and j < inner of (a b)[v vector_step + i outer_step + j, c]; without b, of
/// a. Rows of a and b are `stride` long.
struct ColumnSum {
  const float *a, *b;
  float* out;
  int width, stride, vectors, vector_step, outer, outer_step, inner;
};
inline constexpr int kMostColumnSums = 2 + 4 * kFuserMostBlocks;
struct ColumnSums {
  ColumnSum of[kMostColumnSums];
};
struct ColumnParts {
  float of[kFuserWarps][kWarp];
};

// Block (i, v, k) owns the i-th 32 columns of vector v of sum k; a warp takes every fourth row.
inline __global__ void fuser_column_sums_kernel(ColumnSums sums) {
  const ColumnSum sum = sums.of[blockIdx.z];
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  const int c = int(blockIdx.x) * kWarp + lane, vector = int(blockIdx.y);
  if (vector >= sum.vectors) return;
  float part = 0;
  for (int64_t i = warp; c < sum.width && i < int64_t(sum.outer) * sum.inner; i += kFuserWarps) {
    const int64_t row = int64_t(vector) * sum.vector_step + i / sum.inner * sum.outer_step + i % sum.inner;
    part += sum.a[row * sum.stride + c] * (sum.b ? sum.b[row * sum.stride + c] : 1.0f);
  }
  auto& parts = shared<ColumnParts>().of;
  parts[warp][lane] = part;
  __syncthreads();
  if (warp > 0 || c >= sum.width) return;
  float total = 0;
  for (int w = 0; w < kFuserWarps; ++w) total += parts[w][lane];
  sum.out[int64_t(vector) * sum.width + c] = total;
}

// dlevels[image, level]: the sum over the chunks that read the level; zero where none does.
inline __global__ void fuser_level_sums_kernel(FuserSizes s, FuserChunks chunks, const float* parts,
                                               float* dlevels) {
  const int level = int(blockIdx.x);
  const int64_t image = blockIdx.y;
  for_each(s.width, [&](int c) {
    float sum = 0;
    for (int k = 0; k < s.chunks; ++k) {
      const int j = level - chunks.of[k].level;
      if (j >= 0 && j < s.group) sum += parts[((image * s.chunks + k) * s.group + j) * s.width + c];
    }
    dlevels[(image * s.levels + level) * s.width + c] = sum;
  });
}

/// Floats that fuser_work() shares out.
int64_t fuser_work_count(const FuserSizes& s);
FuserWork fuser_work(const FuserSizes& s, float* memory);

/// Writes those of `grads`, in the order of the parameters, that are not empty.
void fuser_parameter_sums(const FuserSizes& s, const FuserWork& work, std::span<const Tensor> grads,
                          const Stream& stream);
void fuser_level_sums(const FuserSizes& s, const FuserChunks& chunks, const FuserWork& work,
                      const Tensor& dlevels, const Stream& stream);

}  // namespace dehvf::cuda
