// c = a b^T in f32 for bf16 a [m, k] and b [n, k]: a whole pipeline out of the wrappers. One thread loads
// tiles of a and b into a ring of stages, two warpgroups multiply 64 rows each. In a cluster of two blocks,
// neighbours along n, each loads half of the tile of a that both need. product_M_N_K, and _cluster: in, a and
// then b, rows padded to a multiple of 8 elements; out, c.
#include "cuda/conformance/start.cuh"
#include "cuda/ptx/cluster.cuh"
#include "cuda/ptx/fence.cuh"
#include "cuda/ptx/mbarrier.cuh"
#include "cuda/ptx/setmaxnreg.cuh"
#include "cuda/ptx/tma.cuh"
#include "cuda/ptx/wgmma.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

using ptx::TensorMap;

constexpr int kRows = 128, kColumns = 96, kDepth = 64, kStages = 3, kConsumers = 2;
constexpr unsigned kThreads = 128 * (1 + kConsumers);

struct Ring {
  alignas(1024) __nv_bfloat16 a[kStages][kRows * kDepth], b[kStages][kColumns * kDepth];
  uint64_t full[kStages], empty[kStages];
};
constexpr unsigned kBytes = (kRows + kColumns) * kDepth * sizeof(__nv_bfloat16);

template <unsigned kCluster>
__device__ void load(Ring& s, const TensorMap& a, const TensorMap& b, int steps) {
  constexpr int kPart = kRows / int(kCluster);
  const int row = int(blockIdx.y) * kRows, column = int(blockIdx.x) * kColumns;
  for (int i = 0; i < steps; ++i) {
    const int stage = i % kStages;
    ptx::mbarrier_wait(&s.empty[stage], unsigned(i / kStages % 2) ^ 1);
    ptx::mbarrier_arrive_expect_tx(&s.full[stage], kBytes);
    if constexpr (kCluster == 1) {
      ptx::tma_load(s.a[stage], a, &s.full[stage], {i * kDepth, row});
    } else {
      const int first = int(ptx::cluster_rank()) * kPart;
      ptx::tma_load_multicast(s.a[stage] + first * kDepth, a, &s.full[stage], {i * kDepth, row + first}, 3);
    }
    ptx::tma_load(s.b[stage], b, &s.full[stage], {i * kDepth, column});
  }
}

template <unsigned kCluster>
__device__ void multiply(Ring& s, float (&d)[kColumns / 2], int group, int steps) {
  for (int i = 0; i < steps; ++i) {
    const int stage = i % kStages;
    ptx::mbarrier_wait(&s.full[stage], unsigned(i / kStages % 2));
    ptx::wgmma_fence(d);
    for (int inner = 0; inner < kDepth; inner += 16)
      ptx::wgmma<__nv_bfloat16>(
          d, ptx::wgmma_descriptor(s.a[stage] + group * 64 * kDepth + inner, Swizzle::b128, 16, 1024),
          ptx::wgmma_descriptor(s.b[stage] + inner, Swizzle::b128, 16, 1024), i + inner > 0);
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>(d);
    if (threadIdx.x % 128 < kCluster) ptx::mbarrier_arrive_remote(&s.empty[stage], threadIdx.x % 128);
  }
}

__device__ void store(const float (&d)[kColumns / 2], float* c, int group, int m, int n) {
  const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) % 128 / 32;
  const int row = int(blockIdx.y) * kRows + group * 64 + warp * 16 + lane / 4;
  const int column = int(blockIdx.x) * kColumns + lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < kColumns / 2; ++i) {
    const int r = row + i / 2 % 2 * 8, j = column + i / 4 * 8 + i % 2;
    if (r < m && j < n) c[int64_t(r) * n + j] = d[i];
  }
}

template <unsigned kCluster>
__global__ void __launch_bounds__(kThreads, 1)
    product_kernel(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, float* c, int m,
                   int n, int k) {
  Ring& s = *dynamic_shared<Ring>();
  const int group = int(threadIdx.x) / 128, steps = (k + kDepth - 1) / kDepth;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      ptx::mbarrier_init(&s.full[i], 1);
      ptx::mbarrier_init(&s.empty[i], kConsumers * kCluster);
    }
    ptx::fence_mbarrier_init();
  }
  ptx::cluster_arrive();
  ptx::cluster_wait();
  if (group == 0) {
    ptx::setmaxnreg_dec<40>();
    if (threadIdx.x == 0) load<kCluster>(s, a, b, steps);
  } else {
    ptx::setmaxnreg_inc<232>();
    float d[kColumns / 2];
    multiply<kCluster>(s, d, group - 1, steps);
    store(d, c, group - 1, m, n);
  }
  ptx::cluster_arrive();  // peers arrive at the barriers of this block and copy into it until here
  ptx::cluster_wait();
}

template <unsigned kCluster, int kM, int kN, int kK>
void product(const Tensor& in, const Tensor& out) {
  constexpr unsigned kPadded = (kK + 7) / 8 * 8;
  const auto* const a = static_cast<const __nv_bfloat16*>(in.raw());
  const TileAxis a_axes[] = {{kK, 1, kDepth}, {kM, kPadded, kRows / kCluster}};
  const TileAxis b_axes[] = {{kK, 1, kDepth}, {kN, kPadded, kColumns}};
  const TensorMap a_map = ptx::make_tensor_map(a, DType::bf16, Swizzle::b128, a_axes);
  const TensorMap b_map = ptx::make_tensor_map(a + kM * kPadded, DType::bf16, Swizzle::b128, b_axes);
  const unsigned columns = ((kN + kColumns - 1) / kColumns + kCluster - 1) / kCluster * kCluster;
  launch({"product", {.cluster = kCluster}}, dim3(columns, (kM + kRows - 1) / kRows), dim3(kThreads),
         sizeof(Ring), current_stream(in.device()), product_kernel<kCluster>, a_map, b_map,
         static_cast<float*>(out.raw()), kM, kN, kK);
}

const Provide<PtxProbe> provide_small{{kKernelDevice, "product_1_32_8"}, product<1, 1, 32, 8>};
const Provide<PtxProbe> provide_odd{{kKernelDevice, "product_131_160_333"}, product<1, 131, 160, 333>};
const Provide<PtxProbe> provide_small_cluster{{kKernelDevice, "product_1_32_8_cluster"},
                                              product<2, 1, 32, 8>};
const Provide<PtxProbe> provide_cluster{{kKernelDevice, "product_131_160_333_cluster"},
                                        product<2, 131, 160, 333>};

}  // namespace
}  // namespace dehvf::cuda
