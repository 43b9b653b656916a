// cp_async_N: in, 4 words and how many of their first N bytes are copied; out, 4 words in shared memory that
// were all ones before. cp_async_groups: in, 4 words, copied one by one in three groups of 2, 1 and 1; out,
// the words in the order in which waiting promises them, each read by the neighbouring lane.
#include "cuda/conformance/start.cuh"
#include "cuda/ptx/cp_async.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

struct Words {
  alignas(16) uint32_t of_lane[32][4];
};

template <int Bytes>
__global__ void cp_async_kernel(const uint32_t* in, uint32_t* out) {
  uint32_t(&words)[4] = shared<Words>().of_lane[threadIdx.x];
  for (int i = 0; i < 4; ++i) words[i] = ~0u;
  const uint32_t* const source = in + threadIdx.x * 8;
  ptx::cp_async<Bytes>(words, source, int(source[4]));
  ptx::cp_async_commit();
  ptx::cp_async_wait<0>();
  for (int i = 0; i < 4; ++i) out[threadIdx.x * 4 + i] = words[i];
}

__global__ void cp_async_groups_kernel(const uint32_t* in, uint32_t* out) {
  Words& words = shared<Words>();
  uint32_t(&own)[4] = words.of_lane[threadIdx.x];
  const uint32_t(&other)[4] = words.of_lane[(threadIdx.x + 1) % 32];
  const uint32_t* const source = in + threadIdx.x * 4;
  ptx::cp_async<8>(own, source);
  ptx::cp_async_commit();
  ptx::cp_async<4>(own + 2, source + 2);
  ptx::cp_async_commit();
  ptx::cp_async<4>(own + 3, source + 3);
  ptx::cp_async_commit();
  ptx::cp_async_wait<2>();
  __syncthreads();
  out[threadIdx.x * 4] = other[0];
  out[threadIdx.x * 4 + 1] = other[1];
  ptx::cp_async_wait<1>();
  __syncthreads();
  out[threadIdx.x * 4 + 2] = other[2];
  ptx::cp_async_wait<0>();
  __syncthreads();
  out[threadIdx.x * 4 + 3] = other[3];
}

const Provide<PtxProbe> provide_4{{kKernelDevice, "cp_async_4"}, start_probe<cp_async_kernel<4>>};
const Provide<PtxProbe> provide_8{{kKernelDevice, "cp_async_8"}, start_probe<cp_async_kernel<8>>};
const Provide<PtxProbe> provide_16{{kKernelDevice, "cp_async_16"}, start_probe<cp_async_kernel<16>>};
const Provide<PtxProbe> provide_groups{{kKernelDevice, "cp_async_groups"},
                                       start_probe<cp_async_groups_kernel>};

}  // namespace
}  // namespace dehvf::cuda
