// inv_r = 1 / sqrt(sum_c x_rc^2 / width + eps),  y_rc = round(x_rc inv_r) w_c, rounded again.
// One block owns a row, each thread every blockDim-th pack of it; sums are f32 in a fixed order.
#include "core/ops/norm.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"
#include "cuda/reduce.cuh"

namespace dehvf::cuda {
namespace {

template <int N, class T, class W>
__global__ void rms_norm_kernel(const T* x, const W* weight, float eps, int64_t width, T* y, float* inv_rms) {
  const int64_t row = blockIdx.x, first = int64_t(threadIdx.x) * N, step = int64_t(blockDim.x) * N;
  const T* const in = x + row * width;
  T* const out = y + row * width;
  float squares = 0;
  for (int64_t c = first; c < width; c += step) {
    const Pack<T, N> pack = load<N>(in + c);
#pragma unroll
    for (int k = 0; k < N; ++k) squares += widened(pack.items[k]) * widened(pack.items[k]);
  }
  const float inv = 1 / sqrtf(block_sum(squares) / float(width) + eps);
  if (threadIdx.x == 0) inv_rms[row] = inv;
  for (int64_t c = first; c < width; c += step) {
    Pack<T, N> pack = load<N>(in + c);
    const Pack<W, N> w = load<N>(weight + c);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const T normalised = rounded<T>(widened(pack.items[k]) * inv);
      pack.items[k] = rounded<T>(widened(normalised) * widened(w.items[k]));
    }
    store(out + c, pack);
  }
}

// Whole warps, enough for one pack a thread, at most 512 threads.
dim3 block_for(int64_t packs) {
  return dim3(unsigned(std::min<int64_t>((packs + kWarp - 1) / kWarp, 16) * kWarp));
}

template <class T, class W>
void rms_norm_as(const Tensor& x, const Tensor& weight, double eps, const Tensor& y, const Tensor& inv_rms) {
  const auto* const in = static_cast<const T*>(x.raw());
  const auto* const w = static_cast<const W*>(weight.raw());
  auto* const out = static_cast<T*>(y.raw());
  const int64_t width = x.shape().last();
  constexpr int kItems = kPack<T, W>;
  const bool packed = width % kItems == 0 && aligned_for<kItems>(in, w, out);
  launch({"rms_norm"}, dim3(unsigned(x.shape().rows())), block_for(packed ? width / kItems : width), 0,
         current_stream(x.device()), packed ? rms_norm_kernel<kItems, T, W> : rms_norm_kernel<1, T, W>, in, w,
         float(eps), width, out, inv_rms.data<float>());
}

void rms_norm(const Tensor& x, const Tensor& weight, double eps, const Tensor& y, const Tensor& inv_rms) {
  visit_element("rms_norm", x.dtype(), [&]<class T>(std::type_identity<T>) {
    visit_element("rms_norm", weight.dtype(),
                  [&]<class W>(std::type_identity<W>) { rms_norm_as<T, W>(x, weight, eps, y, inv_rms); });
  });
}

const Provide<RmsNorm> provide_rms_norm{{kKernelDevice}, rms_norm};

}  // namespace
}  // namespace dehvf::cuda
