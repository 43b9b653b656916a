// in: d, a, b; out: d.
#include <bit>

#include "cuda/conformance/start.cuh"
#include "cuda/ptx/mma.cuh"

namespace dehvf::cuda {
namespace {

struct Fragments {
  float d[4];
  uint32_t a[4], b[2];
};

__device__ Fragments taken(const uint32_t* in) {
  Fragments own;
  for (int i = 0; i < 4; ++i) {
    own.d[i] = std::bit_cast<float>(in[threadIdx.x * 10 + i]);
    own.a[i] = in[threadIdx.x * 10 + 4 + i];
  }
  for (int i = 0; i < 2; ++i) own.b[i] = in[threadIdx.x * 10 + 8 + i];
  return own;
}

__device__ void give(const float (&d)[4], uint32_t* out) {
  for (int i = 0; i < 4; ++i) out[threadIdx.x * 4 + i] = std::bit_cast<uint32_t>(d[i]);
}

template <class T>
__global__ void mma_m16n8k16_kernel(const uint32_t* in, uint32_t* out) {
  Fragments own = taken(in);
  ptx::mma_m16n8k16<T>(own.d, own.a, own.b);
  give(own.d, out);
}

__global__ void mma_m16n8k8_tf32_kernel(const uint32_t* in, uint32_t* out) {
  Fragments own = taken(in);
  ptx::mma_m16n8k8_tf32(own.d, own.a, own.b);
  give(own.d, out);
}

const Provide<PtxProbe> provide_bf16{{kKernelDevice, "mma_m16n8k16_bf16"},
                                     start_probe<mma_m16n8k16_kernel<__nv_bfloat16>>};
const Provide<PtxProbe> provide_f16{{kKernelDevice, "mma_m16n8k16_f16"},
                                    start_probe<mma_m16n8k16_kernel<__half>>};
const Provide<PtxProbe> provide_tf32{{kKernelDevice, "mma_m16n8k8_tf32"},
                                     start_probe<mma_m16n8k8_tf32_kernel>};

}  // namespace
}  // namespace dehvf::cuda
