// mbarrier_parity: out, what each lane finds, 1 for "over": of a new barrier for 3 arrivals parity 1, then
// parity 0 before the third arrival, behind it, and parity 1 behind it. mbarrier_hand_over: in, 8 words a
// lane; out, the same words, handed from one warp to another through a buffer of 2 stages.
#include "cuda/conformance/start.cuh"
#include "cuda/ptx/fence.cuh"
#include "cuda/ptx/mbarrier.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

struct Counter {
  uint64_t barrier;
};

__global__ void mbarrier_parity_kernel(const uint32_t*, uint32_t* out) {
  uint64_t* const barrier = &shared<Counter>().barrier;
  uint32_t* const found = out + threadIdx.x * 4;
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(barrier, 3);
    ptx::fence_mbarrier_init();
  }
  __syncthreads();
  found[0] = ptx::mbarrier_try_wait(barrier, 1);
  if (threadIdx.x == 5) ptx::mbarrier_arrive(barrier);
  __syncthreads();
  found[1] = ptx::mbarrier_try_wait(barrier, 0);
  __syncthreads();
  if (threadIdx.x == 9) ptx::mbarrier_arrive(barrier, 2);
  __syncthreads();
  found[2] = ptx::mbarrier_try_wait(barrier, 0);
  found[3] = ptx::mbarrier_try_wait(barrier, 1);
  __syncthreads();
  if (threadIdx.x == 0) ptx::mbarrier_inval(barrier);
}

struct Stages {
  uint64_t full[2], empty[2];
  uint32_t words[2][32];
};

__global__ void mbarrier_hand_over_kernel(const uint32_t* in, uint32_t* out) {
  constexpr unsigned kWords = 8;
  Stages& s = shared<Stages>();
  const unsigned lane = threadIdx.x % 32;
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; ++i) {
      ptx::mbarrier_init(&s.full[i], 32);
      ptx::mbarrier_init(&s.empty[i], 1);
    }
    ptx::fence_mbarrier_init();
  }
  __syncthreads();
  for (unsigned i = 0; i < kWords; ++i) {
    const unsigned stage = i % 2, parity = i / 2 % 2;
    if (threadIdx.x < 32) {
      ptx::mbarrier_wait(&s.empty[stage], parity ^ 1);
      s.words[stage][lane] = in[lane * kWords + i];
      ptx::mbarrier_arrive(&s.full[stage]);
    } else {
      ptx::mbarrier_wait(&s.full[stage], parity);
      out[(31 - lane) * kWords + i] = s.words[stage][31 - lane];
      __syncwarp();
      if (lane == 0) ptx::mbarrier_arrive(&s.empty[stage]);
    }
  }
}

const Provide<PtxProbe> provide_parity{{kKernelDevice, "mbarrier_parity"},
                                       start_probe<mbarrier_parity_kernel>};
const Provide<PtxProbe> provide_hand_over{{kKernelDevice, "mbarrier_hand_over"},
                                          start_probe<mbarrier_hand_over_kernel, 64>};

}  // namespace
}  // namespace dehvf::cuda
