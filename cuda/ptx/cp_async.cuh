// Copies from global to shared memory that go on beside the thread, which waits for groups of its own copies;
// others see them behind a barrier after that wait.
#pragma once

#include "cuda/ptx/address.cuh"

namespace dehvf::cuda::ptx {

/// Bytes is 4, 8 or 16; both addresses are aligned to it. What is behind the first `valid_bytes` is not read
/// and arrives as zeros.
template <int Bytes>
__device__ __forceinline__ void cp_async(void* shared, const void* global, int valid_bytes = Bytes) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  if constexpr (Bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(shared_address(shared)), "l"(global_address(global)), "r"(valid_bytes)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                 :
                 : "r"(shared_address(shared)), "l"(global_address(global)), "n"(Bytes), "r"(valid_bytes)
                 : "memory");
}

/// Closes a group: the thread's copies since the last one, if any.
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits until at most `Left` groups of this thread are open, the youngest.
template <int Left>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Left) : "memory");
}

}  // namespace dehvf::cuda::ptx
