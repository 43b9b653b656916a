// How a matrix is shared among threads that own columns and walk down a few rows of them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "cuda/element.cuh"

namespace dehvf::cuda {

/// Thread (x, y) of block (i, j) owns column j blockDim.x + x of the rows (i blockDim.y kTileRows + y) +
/// k blockDim.y for k < kTileRows.
inline constexpr int kTileRows = 4;

struct Tiling {
  dim3 grid, block;
};
inline Tiling tile_rows(int64_t rows, int64_t columns) {
  constexpr int64_t kThreads = 256;
  const int64_t x = std::min<int64_t>(kThreads, int64_t(std::bit_ceil(uint64_t(columns))));
  const int64_t tile = kThreads / x * kTileRows;
  return {dim3(unsigned((rows + tile - 1) / tile), unsigned((columns + x - 1) / x)),
          dim3(unsigned(x), unsigned(kThreads / x))};
}

}  // namespace dehvf::cuda
