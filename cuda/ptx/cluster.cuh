// Blocks that run together, as many as the launch says ({"name", {.cluster = 2}}), and the shared memory of
// each other. A block must not end while a peer may still use its memory: a barrier of the cluster comes
// last.
#pragma once

#include "cuda/ptx/address.cuh"

namespace dehvf::cuda::ptx {

__device__ __forceinline__ unsigned cluster_rank() {
  unsigned rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

__device__ __forceinline__ unsigned cluster_size() {
  unsigned size;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}

/// All threads of all blocks arrive and then wait; what they did before is seen behind the wait.
__device__ __forceinline__ void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
}
__device__ __forceinline__ void cluster_wait() { asm volatile("barrier.cluster.wait.acquire;" ::: "memory"); }

/// Where block `rank` has what lies at `own` in this block's shared memory; to be read and written as usual.
template <class T>
__device__ __forceinline__ T* cluster_map(T* own, unsigned rank) {
  uint64_t theirs;
  asm volatile("mapa.u64 %0, %1, %2;" : "=l"(theirs) : "l"(reinterpret_cast<uint64_t>(own)), "r"(rank));
  return reinterpret_cast<T*>(theirs);
}

}  // namespace dehvf::cuda::ptx
