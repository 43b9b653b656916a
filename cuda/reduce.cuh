// Sums and maxima over a warp and a block, in an order that depends on the block size only.
#pragma once

#include <algorithm>
#include <limits>

#include "cuda/shared.cuh"

namespace dehvf::cuda {

inline constexpr int kWarp = 32;

/// Whole warps, a thread for each of `items` but at most `most`.
inline dim3 block_for(int64_t items, int64_t most = 512) {
  return dim3(unsigned(std::min((items + kWarp - 1) / kWarp * kWarp, most)));
}

struct Plus {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Larger {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

/// The sum over the warp, to all its threads.
template <class T, class Op = Plus>
__device__ T warp_sum(T x, const Op& op = {}) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x = op(x, __shfl_xor_sync(0xffffffffu, x, offset));
  return x;
}

template <class T>
struct BlockSum {
  T of_warp[kWarp];
};

/// The sum over a one-dimensional block of whole warps, to all its threads. Every thread must call it.
template <class T, class Op = Plus>
__device__ T block_sum(T x, T nothing = 0, const Op& op = {}) {
  T(&of_warp)[kWarp] = shared<BlockSum<T>>().of_warp;
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  const int warps = int(blockDim.x) / kWarp;
  x = warp_sum(x, op);
  if (lane == 0) of_warp[warp] = x;
  __syncthreads();
  x = warp_sum(lane < warps ? of_warp[lane] : nothing, op);
  __syncthreads();  // of_warp may be written again
  return x;
}

/// The largest; NaN only where all are.
__device__ inline float block_max(float x) {
  return block_sum(x, -std::numeric_limits<float>::infinity(), Larger{});
}

}  // namespace dehvf::cuda
