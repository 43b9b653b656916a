// One product of a warpgroup, d += a b^T.
// in: bytes of shared memory as they are (kWords words), then the registers of a (4 a thread), then d (n / 2
// a thread). out: d. The operands lie where the descriptors of wgmma_layouts.h say.
#include <bit>

#include "cuda/conformance/hopper/wgmma_layouts.h"
#include "cuda/conformance/start.cuh"
#include "cuda/ptx/fence.cuh"
#include "cuda/ptx/wgmma.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

template <class T, int N, Major kA, Major kB, bool kRegisters>
__global__ void __launch_bounds__(128, 1)
    wgmma_kernel(const uint32_t* in, WgmmaLayout a_layout, WgmmaLayout b_layout, uint32_t* out) {
  auto* const words = dynamic_shared<uint32_t>();
  for (int i = int(threadIdx.x); i < kOperandWords; i += 128) words[i] = in[i];
  ptx::fence_proxy_async();
  __syncthreads();
  uint32_t a[4];
  for (int i = 0; i < 4; ++i) a[i] = in[kOperandWords + threadIdx.x * 4 + i];
  float d[N / 2];
  const uint32_t* const before = in + kOperandWords + 512 + threadIdx.x * (N / 2);
#pragma unroll
  for (int i = 0; i < N / 2; ++i) d[i] = std::bit_cast<float>(before[i]);
  const auto descriptor = [&](const WgmmaLayout& layout) {
    return ptx::wgmma_descriptor(words + layout.begin / 4, layout.swizzle, layout.leading, layout.stride);
  };
  ptx::wgmma_fence(d);
  if constexpr (kRegisters)
    ptx::wgmma<T, kB>(d, a, descriptor(b_layout), true);
  else
    ptx::wgmma<T, kA, kB>(d, descriptor(a_layout), descriptor(b_layout), true);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>(d);
#pragma unroll
  for (int i = 0; i < N / 2; ++i) out[threadIdx.x * (N / 2) + i] = std::bit_cast<uint32_t>(d[i]);
}

template <class T, int N, Swizzle kSwizzle, Major kA = Major::k, Major kB = Major::k, bool kRegisters = false>
void start(const Tensor& in, const Tensor& out) {
  launch({"wgmma"}, dim3(1), dim3(128), kOperandWords * 4, current_stream(in.device()),
         wgmma_kernel<T, N, kA, kB, kRegisters>, static_cast<const uint32_t*>(in.raw()),
         wgmma_layout(kSwizzle, kA, 64, 0), wgmma_layout(kSwizzle, kB, N, kOperandWords * 2),
         static_cast<uint32_t*>(out.raw()));
}

// Two groups on the same d, of which the first overwrites it; then one that adds to another.
__global__ void __launch_bounds__(128, 1)
    wgmma_groups_kernel(const uint32_t* in, WgmmaLayout a_layout, WgmmaLayout b_layout, uint32_t* out) {
  auto* const words = dynamic_shared<uint32_t>();
  for (int i = int(threadIdx.x); i < kOperandWords; i += 128) words[i] = in[i];
  ptx::fence_proxy_async();
  __syncthreads();
  float d[32], e[32];
#pragma unroll
  for (int i = 0; i < 32; ++i) e[i] = 1;
  const auto descriptor = [&](const WgmmaLayout& layout) {
    return ptx::wgmma_descriptor(words + layout.begin / 4, layout.swizzle, layout.leading, layout.stride);
  };
  const uint64_t a = descriptor(a_layout), b = descriptor(b_layout);
  ptx::wgmma_fence(d, e);
  ptx::wgmma<__nv_bfloat16>(d, a, b, false);
  ptx::wgmma<__nv_bfloat16>(d, a, b, true);
  ptx::wgmma_commit();
  ptx::wgmma_fence(e);
  ptx::wgmma<__nv_bfloat16>(e, a, b, true);
  ptx::wgmma_commit();
  ptx::wgmma_wait<1>(d);
#pragma unroll
  for (int i = 0; i < 32; ++i) out[threadIdx.x * 64 + i] = std::bit_cast<uint32_t>(d[i]);
  ptx::wgmma_wait<0>(e);
#pragma unroll
  for (int i = 0; i < 32; ++i) out[threadIdx.x * 64 + 32 + i] = std::bit_cast<uint32_t>(e[i]);
}

void start_groups(const Tensor& in, const Tensor& out) {
  launch({"wgmma"}, dim3(1), dim3(128), kOperandWords * 4, current_stream(in.device()), wgmma_groups_kernel,
         static_cast<const uint32_t*>(in.raw()), wgmma_layout(Swizzle::b128, Major::k, 64, 0),
         wgmma_layout(Swizzle::b128, Major::k, 64, kOperandWords * 2), static_cast<uint32_t*>(out.raw()));
}

using B = __nv_bfloat16;
using H = __half;
constexpr Swizzle none = Swizzle::none, b32 = Swizzle::b32, b64 = Swizzle::b64, b128 = Swizzle::b128;
constexpr Major k = Major::k, mn = Major::mn;

const Provide<PtxProbe> provide_64{{kKernelDevice, "wgmma_64_b128_kk"}, start<B, 64, b128>};
const Provide<PtxProbe> provide_96{{kKernelDevice, "wgmma_96_b64_kk"}, start<B, 96, b64>};
const Provide<PtxProbe> provide_128{{kKernelDevice, "wgmma_128_b32_kk"}, start<B, 128, b32>};
const Provide<PtxProbe> provide_160{{kKernelDevice, "wgmma_160_none_kk"}, start<B, 160, none>};
const Provide<PtxProbe> provide_192{{kKernelDevice, "wgmma_192_b64_mk"}, start<B, 192, b64, mn, k>};
const Provide<PtxProbe> provide_256{{kKernelDevice, "wgmma_256_b128_mm"}, start<B, 256, b128, mn, mn>};
const Provide<PtxProbe> provide_f16{{kKernelDevice, "wgmma_64_b32_mm_f16"}, start<H, 64, b32, mn, mn>};
const Provide<PtxProbe> provide_km{{kKernelDevice, "wgmma_128_none_km_f16"}, start<H, 128, none, k, mn>};
const Provide<PtxProbe> provide_mm{{kKernelDevice, "wgmma_64_none_mm"}, start<B, 64, none, mn, mn>};
const Provide<PtxProbe> provide_r{{kKernelDevice, "wgmma_64_b128_rk"}, start<B, 64, b128, k, k, true>};
const Provide<PtxProbe> provide_rm{{kKernelDevice, "wgmma_256_b128_rm_f16"},
                                   start<H, 256, b128, k, mn, true>};
const Provide<PtxProbe> provide_groups{{kKernelDevice, "wgmma_groups"}, start_groups};

}  // namespace
}  // namespace dehvf::cuda
