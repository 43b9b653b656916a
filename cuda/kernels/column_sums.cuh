// sum_c = sum over rows of term(row, c), in an order that depends on the shape only: step one cuts the rows
// into parts and writes the sums of each, step two adds them up.
#pragma once

#include <algorithm>

#include "core/tensor.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"
#include "cuda/reduce.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {

inline constexpr int kSumRows = 8;  // of a block at once

template <int N>
struct WarpSums {
  float of[kSumRows][kWarp * N];
};

/// A block owns kWarp N columns of `rows_a_part` rows; each of its warps every kSumRows-th row of them.
/// term.at<N>(row, column) is a Pack<float, N>. sums [parts, width].
template <int N, class Term>
__global__ void column_sums_kernel(Term term, int64_t rows, int64_t width, int64_t rows_a_part, float* sums) {
  const int64_t tile = int64_t(blockIdx.x) * kWarp * N, c = tile + int64_t(threadIdx.x) * N;
  const int64_t begin = int64_t(blockIdx.y) * rows_a_part;
  const int64_t end = begin + rows_a_part < rows ? begin + rows_a_part : rows;
  float sum[N] = {};
  if (c < width) {
#pragma unroll 4
    for (int64_t row = begin + threadIdx.y; row < end; row += kSumRows) {
      const Pack<float, N> x = term.template at<N>(row, c);
#pragma unroll
      for (int k = 0; k < N; ++k) sum[k] += x.items[k];
    }
  }
  float(&of)[kSumRows][kWarp * N] = shared<WarpSums<N>>().of;
#pragma unroll
  for (int k = 0; k < N; ++k) of[threadIdx.y][threadIdx.x * N + k] = sum[k];
  __syncthreads();
  const int column = int(threadIdx.y) * kWarp + int(threadIdx.x);
  if (column >= kWarp * N || tile + column >= width) return;
  float total = 0;
#pragma unroll
  for (int warp = 0; warp < kSumRows; ++warp) total += of[warp][column];
  sums[int64_t(blockIdx.y) * width + tile + column] = total;
}

/// The rows of a matrix [.., width] themselves.
template <class T>
struct RowTerm {
  static constexpr int kItems = kPack<T>;
  const T* x;
  int64_t width;
  bool packed() const { return width % kItems == 0 && aligned_for<kItems>(x); }
  template <int N>
  __device__ Pack<float, N> at(int64_t row, int64_t c) const {
    const Pack<T, N> in = load<N>(x + row * width + c);
    Pack<float, N> out;
#pragma unroll
    for (int k = 0; k < N; ++k) out.items[k] = widened(in.items[k]);
    return out;
  }
};

/// sums [width] f32 on the device; a Term is made of packs of kItems columns where it is `packed()`.
template <class Term>
void column_sums(LaunchSite site, const Term& term, int64_t rows, int64_t width, const Tensor& sums) {
  constexpr int64_t kBlocks = 512, kLeastRows = 64;
  static_assert(Term::kItems <= kSumRows, "one thread of the block for every column");
  const bool packed = term.packed();
  const int64_t tile = kWarp * (packed ? Term::kItems : 1), tiles = (width + tile - 1) / tile;
  const int64_t wanted = std::min(kBlocks / std::max<int64_t>(tiles, 1), rows / kLeastRows);
  const int64_t rows_a_part = (rows + std::max<int64_t>(wanted, 1) - 1) / std::max<int64_t>(wanted, 1);
  const int64_t parts = rows == 0 ? 1 : (rows + rows_a_part - 1) / rows_a_part;
  const Tensor out = parts == 1 ? sums : Tensor({parts, width}, DType::f32, sums.device());
  launch(site, dim3(unsigned(tiles), unsigned(parts)), dim3(kWarp, kSumRows), 0,
         current_stream(sums.device()),
         packed ? column_sums_kernel<Term::kItems, Term> : column_sums_kernel<1, Term>, term, rows, width,
         rows_a_part, out.data<float>());
  if (parts > 1) column_sums(site, RowTerm<float>{out.data<float>(), width}, parts, width, sums);
}

}  // namespace dehvf::cuda
