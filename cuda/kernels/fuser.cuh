// What the fuser's kernels share: sizes, where things stand, and products of a few rows with a weight.
#pragma once

#include "core/ops/fuser.h"
#include "cuda/element.cuh"
#include "cuda/reduce.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {

inline constexpr int kFuserThreads = 128, kFuserWarps = kFuserThreads / kWarp;

struct FuserSizes {
  int images, layers, positions, queries, chunks, levels, group, embedding, hidden, width, heads, blocks;
  int widest;  // of the matrices with a row for a query
  float eps;

  __host__ __device__ int64_t rows() const { return int64_t(images) * queries; }
  __host__ __device__ int64_t level_rows() const { return int64_t(images) * chunks * group; }
};

struct FuserChunks {
  FuserChunk of[kFuserMostChunks];
};

/// The parameters in the order of core/ops/fuser.h.
enum FuserHead { kLayers, kPositions, kEmbedHidden, kEmbedOut = 4, kFirstQuery = 6 };
enum FuserMap {
  kMapQ = 0,
  kMapK = 2,
  kMapV = 4,
  kMapO = 6,
  kNormA = 8,
  kMapUp = 10,
  kMapDown = 12,
  kNormB = 14
};

/// One as the model holds it, read in f32.
struct FuserParameter {
  const void* data;
  DType dtype;

  __device__ float operator[](int64_t i) const {
    switch (dtype) {
      case DType::bf16:
        return widened(static_cast<const __nv_bfloat16*>(data)[i]);
      case DType::f16:
        return widened(static_cast<const __half*>(data)[i]);
      default:
        return static_cast<const float*>(data)[i];
    }
  }
};

struct FuserParameters {
  FuserParameter of[kFuserHead + kFuserBlock * kFuserMostBlocks + kFuserTail];
  int blocks;

  __device__ const FuserParameter& in_block(int block, int place) const {
    return of[kFuserHead + kFuserBlock * block + place];
  }
  __device__ const FuserParameter& tail(int place) const {
    return of[kFuserHead + kFuserBlock * blocks + place];
  }
};

/// Of each block, matrices [images * queries, width]: what the maps read and the normed sums before gain and
/// bias, then the gradients of what norms (B, A) and maps give.
enum FuserRows {
  kIn,
  kQ,
  kAttended,
  kMiddle,
  kUp,
  kNormedA,
  kNormedB,
  kDOut,
  kDDown,
  kDUp,
  kDMiddle,
  kDO,
  kDQ,
  kRowMatrices
};
/// Of each block, matrices [images * chunks * group, width].
enum FuserLevels { kK, kV, kDK, kDV, kLevelMatrices };

/// What the forward pass leaves for backward, and backward for the sums over rows.
struct FuserWork {
  float *row_matrices, *level_matrices;
  float* scales;                           // [blocks, 2, rows]: 1 / deviation in the norms A, B
  float* shares;                           // [blocks, rows, heads, group]: attention
  float *pair, *hidden, *embedded, *last;  // [rows, 2 t], [rows, hidden], [rows, t], [rows, width]
  float *weights, *levels;                 // [rows, group], [level rows, width]: the chunk's levels again
  float *dpair, *dhidden, *dembedded, *dfirst, *dweights, *dlevels;

  __host__ __device__ float* rows(const FuserSizes& s, int block, int matrix) const {
    return row_matrices + (int64_t(block) * kRowMatrices + matrix) * s.rows() * s.width;
  }
  __host__ __device__ float* of_levels(const FuserSizes& s, int block, int matrix) const {
    return level_matrices + (int64_t(block) * kLevelMatrices + matrix) * s.level_rows() * s.width;
  }
};

/// A block's part of the work.
struct FuserPlace {
  FuserChunk chunk;
  int64_t row, level_row;  // its first ones

  __device__ static FuserPlace mine(const FuserSizes& s, const FuserChunks& chunks) {
    const FuserChunk chunk = chunks.of[blockIdx.x];
    const int64_t image = blockIdx.y;
    return {chunk, image * s.queries + chunk.first, (image * s.chunks + blockIdx.x) * s.group};
  }
};

/// Dynamic shared memory: rows [kFuserChunk, widest], levels [group, width], shares [kFuserChunk, heads,
/// group].
struct FuserBuffers {
  float *rows[3], *levels[5], *shares[2];

  __device__ explicit FuserBuffers(const FuserSizes& s) {
    float* at = dynamic_shared<float>();
    const auto take = [&](int count) { return (at += count) - count; };
    for (float*& buffer : rows) buffer = take(kFuserChunk * s.widest);
    for (float*& buffer : levels) buffer = take(s.group * s.width);
    for (float*& buffer : shares) buffer = take(kFuserChunk * s.heads * s.group);
  }
};
inline size_t fuser_shared_bytes(const FuserSizes& s) {
  return sizeof(float) *
         size_t(3 * kFuserChunk * s.widest + 5 * s.group * s.width + 2 * kFuserChunk * s.heads * s.group);
}

inline constexpr int kTileColumns = 64, kTileDepth = 32, kTileRows = 16;
struct FuserTile {
  float of[kTileColumns][kTileDepth + 1];  // one more: neither way of filling it meets a bank twice
};

/// use(row, column, sum over k of in[row, k] weight[column, k]) for each row < rows and column < columns,
/// where in is [rows, depth]; transposed, weight is [depth, columns]. All threads call it. It begins with a
/// barrier, behind which `in` is read, and when it ends nobody reads `in` any more; what `use` wrote needs a
/// barrier. A thread gets the same elements whatever the depth.
template <bool kTransposed, class Use>
__device__ void product(const float* in, int rows, int depth, const FuserParameter& weight, int columns,
                        const Use& use) {
  auto& tile = shared<FuserTile>().of;
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  constexpr int kRows = kTileRows / kFuserWarps, kColumns = kTileColumns / kWarp;
  for (int row0 = 0; row0 < rows; row0 += kTileRows)
    for (int column0 = 0; column0 < columns; column0 += kTileColumns) {
      float sum[kRows][kColumns] = {};
      for (int k0 = 0; k0 < depth; k0 += kTileDepth) {
        for (int i = int(threadIdx.x); i < kTileColumns * kTileDepth; i += kFuserThreads) {
          const int c = kTransposed ? i % kTileColumns : i / kTileDepth;
          const int k = kTransposed ? i / kTileColumns : i % kTileDepth;
          const bool inside = column0 + c < columns && k0 + k < depth;
          tile[c][k] =
              !inside
                  ? 0.0f
                  : weight[kTransposed ? (k0 + k) * columns + column0 + c : (column0 + c) * depth + k0 + k];
        }
        __syncthreads();
        const int deep = depth - k0 < kTileDepth ? depth - k0 : kTileDepth;
        for (int k = 0; k < deep; ++k)
#pragma unroll
          for (int i = 0; i < kRows; ++i) {
            const int row = row0 + warp * kRows + i;
            const float x = row < rows ? in[row * depth + k0 + k] : 0.0f;
#pragma unroll
            for (int j = 0; j < kColumns; ++j) sum[i][j] += x * tile[lane + j * kWarp][k];
          }
        __syncthreads();
      }
#pragma unroll
      for (int i = 0; i < kRows; ++i)
#pragma unroll
        for (int j = 0; j < kColumns; ++j) {
          const int row = row0 + warp * kRows + i, column = column0 + lane + j * kWarp;
          if (row < rows && column < columns) use(row, column, sum[i][j]);
        }
    }
}

/// body(i) for i < count, every thread its own.
template <class Body>
__device__ void for_each(int count, const Body& body) {
  for (int i = int(threadIdx.x); i < count; i += kFuserThreads) body(i);
}

}  // namespace dehvf::cuda
