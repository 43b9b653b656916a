// Sums over a warp and a block, in an order that depends on the block size only.
#pragma once

#include "cuda/shared.cuh"

namespace dehvf::cuda {

inline constexpr int kWarp = 32;

/// The sum over the warp, to all its threads.
__device__ inline float warp_sum(float x) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}

struct BlockSum {
  float of_warp[kWarp];
};

/// The sum over a one-dimensional block of whole warps, to all its threads. Every thread must call it.
__device__ inline float block_sum(float x) {
  float(&of_warp)[kWarp] = shared<BlockSum>().of_warp;
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  const int warps = int(blockDim.x) / kWarp;
  x = warp_sum(x);
  if (lane == 0) of_warp[warp] = x;
  __syncthreads();
  x = warp_sum(lane < warps ? of_warp[lane] : 0.0f);
  __syncthreads();  // of_warp may be written again
  return x;
}

}  // namespace dehvf::cuda
