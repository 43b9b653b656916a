// Barriers 1 to 15 of a block, for some of its warps. 0 is __syncthreads.
#pragma once

namespace dehvf::cuda::ptx {

/// Waits until `threads` threads, whole warps, have arrived by one of these two.
__device__ __forceinline__ void named_barrier_sync(int id, unsigned threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

/// Arrives and goes on.
__device__ __forceinline__ void named_barrier_arrive(int id, unsigned threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

}  // namespace dehvf::cuda::ptx
