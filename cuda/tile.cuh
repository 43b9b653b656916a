// A tile of a 16-bit matrix in shared memory: filled by asynchronous copies of 16 bytes, read as fragments of
// the tensor cores. Rows of `kRow` elements are cut into chunks of 8, and a chunk's place in its row depends
// on the row, so that eight rows at one chunk lie in different banks.
#pragma once

#include <cstdint>

#include "cuda/ptx/cp_async.cuh"
#include "cuda/ptx/matrix.cuh"

namespace dehvf::cuda {

inline constexpr int kChunk = 8;  // elements of 16 bits in 16 bytes

/// kRows x kRow elements of T, kRow a power of two from 32 on.
template <class T, int kRows, int kRow>
struct Tile {
  static_assert(sizeof(T) == 2 && kRow >= 32 && (kRow & (kRow - 1)) == 0);
  static constexpr int kChunks = kRow / kChunk;
  alignas(128) T items[kRows * kRow];

  __device__ static int offset(int row, int chunk) {
    const int turn = kChunks >= 8 ? row & 7 : (row >> 1) & 3;
    return row * kRow + (chunk ^ turn) * kChunk;
  }
  __device__ T* at(int row, int chunk) { return items + offset(row, chunk); }
  __device__ const T* at(int row, int chunk) const { return items + offset(row, chunk); }
};

/// A matrix in global memory of which a block copies tiles: `rows` rows of `columns` elements, `stride`
/// apart. Address, columns and stride are whole chunks, or at least whole copies of those who copy less at
/// once.
template <class T>
struct MatrixView {
  const T* data;
  int64_t rows, columns, stride;
};

/// Starts the copies, of kBytes each, of the chunk at (row, column); what lies outside arrives as zeros.
template <int kBytes = 16, class T>
__device__ void copy_chunk(const MatrixView<T>& from, int64_t row, int64_t column, T* to) {
  constexpr int kItems = kBytes / int(sizeof(T));
#pragma unroll
  for (int i = 0; i < kChunk; i += kItems) {
    const bool inside = row < from.rows && column + i < from.columns;
    ptx::cp_async<kBytes>(to + i, inside ? from.data + row * from.stride + column + i : from.data,
                          inside ? kBytes : 0);
  }
}

/// fn(row, chunk) for the chunks of a tile that belong to this thread.
template <int kThreads, class T, int kRows, int kRow, class Fn>
__device__ void for_chunks(const Tile<T, kRows, kRow>&, const Fn& fn) {
  constexpr int kChunks = Tile<T, kRows, kRow>::kChunks;
  static_assert(kRows * kChunks % kThreads == 0);
#pragma unroll
  for (int i = 0; i < kRows * kChunks / kThreads; ++i) {
    const int index = i * kThreads + int(threadIdx.x);
    fn(index / kChunks, index % kChunks);
  }
}

/// Starts the copies of the tile whose first element is (row, column).
template <int kThreads, int kBytes = 16, class T, int kRows, int kRow>
__device__ void copy_tile(const MatrixView<T>& from, int64_t row, int64_t column, Tile<T, kRows, kRow>& to) {
  for_chunks<kThreads>(to, [&](int r, int chunk) {
    copy_chunk<kBytes>(from, row + r, column + chunk * kChunk, to.at(r, chunk));
  });
}

/// Four 8x8 matrices: [i % 2] 8 rows further, [i / 2] one chunk further, the first at (row, chunk). As rows
/// of a fragment: lane l holds row l / 4.
template <class Tile>
__device__ void load_rows(uint32_t (&r)[4], const Tile& tile, int row, int chunk, int lane) {
  const int matrix = lane / 8;
  ptx::ldmatrix_x4(r, tile.at(row + matrix % 2 * 8 + lane % 8, chunk + matrix / 2));
}
/// The same with each 8x8 matrix transposed: lane l holds column l / 4.
template <class Tile>
__device__ void load_columns(uint32_t (&r)[4], const Tile& tile, int row, int chunk, int lane) {
  const int matrix = lane / 8;
  ptx::ldmatrix_x4_trans(r, tile.at(row + matrix % 2 * 8 + lane % 8, chunk + matrix / 2));
}

/// a of a 16 x 16 piece of the product's left side, from `row` and k = `depth` on; `by_k`: k runs along the
/// rows of the tile, else along its columns.
template <bool by_k, class Tile>
__device__ void load_a(uint32_t (&r)[4], const Tile& tile, int row, int depth, int lane) {
  if constexpr (by_k) {
    load_rows(r, tile, row, depth / kChunk, lane);
  } else {
    uint32_t turned[4];  // (k, row), (k + 8, row), (k, row + 8), ...
    load_columns(turned, tile, depth, row / kChunk, lane);
    r[0] = turned[0], r[1] = turned[2], r[2] = turned[1], r[3] = turned[3];
  }
}

/// b of two neighbouring 16 x 8 pieces of the right side: registers 0 and 1, registers 2 and 3.
template <bool by_k, class Tile>
__device__ void load_b(uint32_t (&r)[4], const Tile& tile, int column, int depth, int lane) {
  if constexpr (by_k) {
    uint32_t found[4];  // (column, k), (column + 8, k), (column, k + 8), ...
    load_rows(found, tile, column, depth / kChunk, lane);
    r[0] = found[0], r[1] = found[2], r[2] = found[1], r[3] = found[3];
  } else {
    load_columns(r, tile, depth, column / kChunk, lane);
  }
}

}  // namespace dehvf::cuda
