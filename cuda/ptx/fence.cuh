// Orders what threads do to shared memory with what goes on beside them: bulk copies and wgmma.
#pragma once

namespace dehvf::cuda::ptx {

/// Between plain stores to shared memory and a bulk copy or wgmma that reads there. The thread that stored
/// does it, then a barrier lets the others know.
__device__ __forceinline__ void fence_proxy_async() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/// Between mbarrier_init and the first use by bulk copies or by other blocks of the cluster.
__device__ __forceinline__ void fence_mbarrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

}  // namespace dehvf::cuda::ptx
