// Eight blocks of one warp, in clusters of four.
// cluster_place: out, rank, size and block of each lane.
// cluster_map: in, a word a thread; out, the word of the same lane in the next block of the cluster, and the
// sum that all blocks of the cluster made in the shared memory of its first. mbarrier_arrive_remote: out, 1
// where a barrier of the block was ended by the arrivals of all four.
#include "cuda/conformance/start.cuh"
#include "cuda/ptx/cluster.cuh"
#include "cuda/ptx/fence.cuh"
#include "cuda/ptx/mbarrier.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

constexpr unsigned kBlocks = 8, kCluster = 4;

__global__ void cluster_place_kernel(const uint32_t*, uint32_t* out) {
  uint32_t* const place = out + (blockIdx.x * 32 + threadIdx.x) * 3;
  place[0] = ptx::cluster_rank();
  place[1] = ptx::cluster_size();
  place[2] = blockIdx.x;
}

struct Words {
  uint32_t own[32], from[kCluster][32];
};

__global__ void cluster_map_kernel(const uint32_t* in, uint32_t* out) {
  Words& words = shared<Words>();
  const unsigned thread = blockIdx.x * 32 + threadIdx.x, rank = ptx::cluster_rank();
  words.own[threadIdx.x] = in[thread];
  ptx::cluster_arrive();
  ptx::cluster_wait();
  out[thread * 2] = ptx::cluster_map(&words, (rank + 1) % kCluster)->own[threadIdx.x];
  ptx::cluster_map(&words.from[rank][threadIdx.x], 0)[0] = in[thread];
  ptx::cluster_arrive();
  ptx::cluster_wait();
  uint32_t sum = 0;
  const Words* const first = ptx::cluster_map(&words, 0);
  for (unsigned i = 0; i < kCluster; ++i) sum += first->from[i][threadIdx.x];
  out[thread * 2 + 1] = sum;
  ptx::cluster_arrive();
  ptx::cluster_wait();
}

struct Counter {
  uint64_t barrier;
};

__global__ void mbarrier_arrive_remote_kernel(const uint32_t*, uint32_t* out) {
  uint64_t* const barrier = &shared<Counter>().barrier;
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(barrier, kCluster);
    ptx::fence_mbarrier_init();
  }
  ptx::cluster_arrive();
  ptx::cluster_wait();
  if (threadIdx.x < kCluster) ptx::mbarrier_arrive_remote(barrier, threadIdx.x);
  ptx::mbarrier_wait(barrier, 0);
  out[blockIdx.x * 32 + threadIdx.x] = ptx::mbarrier_try_wait(barrier, 0);
}

const Provide<PtxProbe> provide_place{{kKernelDevice, "cluster_place"},
                                      start_probe<cluster_place_kernel, 32, kBlocks, kCluster>};
const Provide<PtxProbe> provide_map{{kKernelDevice, "cluster_map"},
                                    start_probe<cluster_map_kernel, 32, kBlocks, kCluster>};
const Provide<PtxProbe> provide_arrive{{kKernelDevice, "mbarrier_arrive_remote"},
                                       start_probe<mbarrier_arrive_remote_kernel, 32, kBlocks, kCluster>};

}  // namespace
}  // namespace dehvf::cuda
