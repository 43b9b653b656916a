// index = the first c with the largest x_c; a NaN is never larger, and nothing is larger than a NaN at c = 0.
// A block owns a row, each thread every blockDim-th pack of it.
#include "core/ops/cross_entropy.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"
#include "cuda/reduce.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kThreads = 256;

struct Best {
  float value;
  int column;
};

struct Columns {
  Best of_warp[kThreads / kWarp];
};

__device__ Best better(const Best& a, const Best& b) {
  return b.value > a.value || (b.value == a.value && b.column < a.column) ? b : a;
}

__device__ Best warp_best(Best best) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2)
    best = better(best, {__shfl_xor_sync(0xffffffffu, best.value, offset),
                         __shfl_xor_sync(0xffffffffu, best.column, offset)});
  return best;
}

template <int N, class T>
__global__ void argmax_kernel(const T* x, int64_t width, int32_t* index) {
  const T* const row = x + int64_t(blockIdx.x) * width;
  const Best first{widened(row[0]), 0};
  Best best = first;
  for (int64_t c = int64_t(threadIdx.x) * N; c < width; c += int64_t(kThreads) * N) {
    const Pack<T, N> pack = load<N>(row + c);
#pragma unroll
    for (int k = 0; k < N; ++k)
      if (const float value = widened(pack.items[k]); value > best.value) best = {value, int(c) + k};
  }
  Best(&of_warp)[kThreads / kWarp] = shared<Columns>().of_warp;
  best = warp_best(best);
  const int lane = int(threadIdx.x) % kWarp;
  if (lane == 0) of_warp[threadIdx.x / kWarp] = best;
  __syncthreads();
  if (threadIdx.x >= kWarp) return;
  best = warp_best(lane < kThreads / kWarp ? of_warp[lane] : first);
  if (lane == 0) index[blockIdx.x] = best.column;
}

void argmax_rows(const Tensor& x, const Tensor& index) {
  visit_element("argmax_rows", x.dtype(), [&]<class T>(std::type_identity<T>) {
    constexpr int kItems = kPack<T>;
    const int64_t width = x.shape().last();
    const auto* const in = static_cast<const T*>(x.raw());
    const bool packed = width % kItems == 0 && aligned_for<kItems>(in);
    launch({"argmax_rows"}, dim3(unsigned(x.shape().rows())), dim3(kThreads), 0, current_stream(x.device()),
           packed ? argmax_kernel<kItems, T> : argmax_kernel<1, T>, in, width, index.data<int32_t>());
  });
}

const Provide<ArgmaxRows> provide_argmax_rows{{kKernelDevice}, argmax_rows};

}  // namespace
}  // namespace dehvf::cuda
