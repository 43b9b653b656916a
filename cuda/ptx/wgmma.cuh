// d += a b^T for 64 x 16 and N x 16 elements of 16 bits, by a warpgroup, beside its threads. Register i of d
// of thread t is row 16 (t / 32) + t % 32 / 4 + 8 (i / 2 % 2) and column 8 (i / 4) + 2 (t % 4) + i % 2.
// wgmma_fence comes before the first product after the registers were touched, wgmma_commit behind the
// products that are waited for together, and nobody touches d before wgmma_wait. What threads stored in
// shared memory needs fence_proxy_async.
#pragma once

#include "cuda/ptx/address.cuh"
#include "cuda/ptx/wgmma_shapes.cuh"

namespace dehvf::cuda::ptx {

/// See wgmma_descriptor_of.
__device__ __forceinline__ uint64_t wgmma_descriptor(const void* shared, Swizzle swizzle, uint32_t leading,
                                                     uint32_t stride) {
  return wgmma_descriptor_of(shared_address(shared), swizzle, leading, stride);
}

/// Keeps the compiler from moving what the threads do with these registers across this line.
template <int N>
__device__ __forceinline__ void wgmma_pin(float (&d)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

/// `d`: up to two accumulators that were touched.
template <int... N>
__device__ __forceinline__ void wgmma_fence(float (&... d)[N]) {
  static_assert(sizeof...(N) <= 2);
  (wgmma_pin(d), ...);
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ __forceinline__ void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/// Until at most `Left` groups are open, the youngest. `d`: up to two accumulators that may be touched from
/// here on.
template <int Left, int... N>
__device__ __forceinline__ void wgmma_wait(float (&... d)[N]) {
  static_assert(sizeof...(N) <= 2);
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Left) : "memory");
  (wgmma_pin(d), ...);
}

}  // namespace dehvf::cuda::ptx
