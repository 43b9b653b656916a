// Barriers in shared memory. A phase is over when all its arrivals have come and all bytes announced for it
// have been copied; the next one begins at once. Phases are counted from 0, and waiting names the parity of
// the phase that is to be over: a thread must not fall two phases behind.
#pragma once

#include "cuda/ptx/address.cuh"

namespace dehvf::cuda::ptx {

/// `arrivals` from 1 to 2^20 - 1 end every phase. One thread does it; fence_mbarrier_init and a barrier of
/// the block or cluster come between it and the first use by others.
__device__ __forceinline__ void mbarrier_init(uint64_t* barrier, unsigned arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals)
               : "memory");
}

/// The 8 bytes may be used for something else afterwards.
__device__ __forceinline__ void mbarrier_inval(uint64_t* barrier) {
  asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(shared_address(barrier)) : "memory");
}

/// At most as often as the phase still wants.
__device__ __forceinline__ void mbarrier_arrive(uint64_t* barrier, unsigned arrivals = 1) {
  asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
               "r"(arrivals)
               : "memory");
}

/// On the barrier that lies at the same place in the shared memory of block `rank` of the cluster. It hands
/// over no plain stores: cluster_arrive and cluster_wait do.
__device__ __forceinline__ void mbarrier_arrive_remote(uint64_t* barrier, unsigned rank) {
  asm volatile(
      "{\n"
      ".reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n"
      "}" ::"r"(shared_address(barrier)),
      "r"(rank)
      : "memory");
}

/// Announces bytes of copies for the current phase, then arrives once.
__device__ __forceinline__ void mbarrier_arrive_expect_tx(uint64_t* barrier, unsigned bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
      "r"(bytes)
      : "memory");
}

__device__ __forceinline__ void mbarrier_expect_tx(uint64_t* barrier, unsigned bytes) {
  asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)),
               "r"(bytes)
               : "memory");
}

/// Whether the phase of that parity is over; may wait for a while first.
__device__ __forceinline__ bool mbarrier_try_wait(uint64_t* barrier, unsigned parity) {
  unsigned over;
  asm volatile(
      "{\n"
      ".reg .pred over;\n"
      "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 over, [%1], %2;\n"
      "selp.u32 %0, 1, 0, over;\n"
      "}"
      : "=r"(over)
      : "r"(shared_address(barrier)), "r"(parity)
      : "memory");
  return over != 0;
}

__device__ __forceinline__ void mbarrier_wait(uint64_t* barrier, unsigned parity) {
  while (!mbarrier_try_wait(barrier, parity)) {
  }
}

}  // namespace dehvf::cuda::ptx
