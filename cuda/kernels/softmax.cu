// y_rc = exp(x_rc - max_c x_rc) / sum_c exp(x_rc - max_c x_rc);   dx = y (dy - sum_c y_rc dy_rc)
// A block owns a row, each thread every blockDim-th pack of it; sums are f32 in a fixed order.
#include <limits>

#include "core/ops/softmax.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"
#include "cuda/reduce.cuh"

namespace dehvf::cuda {
namespace {

// body(column, pack) over the packs of this thread.
template <int N, class T, class Body>
__device__ void for_packs(const T* row, int64_t width, const Body& body) {
  const int64_t step = int64_t(blockDim.x) * N;
  for (int64_t c = int64_t(threadIdx.x) * N; c < width; c += step) body(c, load<N>(row + c));
}

template <int N, class T>
__global__ void softmax_kernel(const T* x, int64_t width, T* y) {
  const T* const in = x + int64_t(blockIdx.x) * width;
  T* const out = y + int64_t(blockIdx.x) * width;
  float top = -std::numeric_limits<float>::infinity(), sum = 0;
  for_packs<N>(in, width, [&](int64_t, const Pack<T, N>& pack) {
#pragma unroll
    for (int k = 0; k < N; ++k) top = fmaxf(top, widened(pack.items[k]));
  });
  top = block_max(top);
  for_packs<N>(in, width, [&](int64_t, const Pack<T, N>& pack) {
#pragma unroll
    for (int k = 0; k < N; ++k) sum += expf(widened(pack.items[k]) - top);
  });
  const float inv = 1 / block_sum(sum);
  for_packs<N>(in, width, [&](int64_t c, Pack<T, N> pack) {
#pragma unroll
    for (int k = 0; k < N; ++k) pack.items[k] = rounded<T>(expf(widened(pack.items[k]) - top) * inv);
    store(out + c, pack);
  });
}

template <int N, class T>
__global__ void softmax_backward_kernel(const T* y, const T* dy, int64_t width, T* dx) {
  const int64_t begin = int64_t(blockIdx.x) * width;
  float dot = 0;
  for_packs<N>(y + begin, width, [&](int64_t c, const Pack<T, N>& out) {
    const Pack<T, N> d = load<N>(dy + begin + c);
#pragma unroll
    for (int k = 0; k < N; ++k) dot += widened(out.items[k]) * widened(d.items[k]);
  });
  dot = block_sum(dot);
  for_packs<N>(y + begin, width, [&](int64_t c, Pack<T, N> out) {
    const Pack<T, N> d = load<N>(dy + begin + c);
#pragma unroll
    for (int k = 0; k < N; ++k)
      out.items[k] = rounded<T>(widened(out.items[k]) * (widened(d.items[k]) - dot));
    store(dx + begin + c, out);
  });
}

void softmax(const Tensor& x, const Tensor& y) {
  visit_element("softmax", x.dtype(), [&]<class T>(std::type_identity<T>) {
    constexpr int kItems = kPack<T>;
    const int64_t width = x.shape().last();
    const auto* const in = static_cast<const T*>(x.raw());
    auto* const out = static_cast<T*>(y.raw());
    const bool packed = width % kItems == 0 && aligned_for<kItems>(in, out);
    launch({"softmax"}, dim3(unsigned(x.shape().rows())), block_for(packed ? width / kItems : width), 0,
           current_stream(x.device()), packed ? softmax_kernel<kItems, T> : softmax_kernel<1, T>, in, width,
           out);
  });
}

void softmax_backward(const Tensor& y, const Tensor& dy, const Tensor& dx) {
  visit_element("softmax_backward", y.dtype(), [&]<class T>(std::type_identity<T>) {
    constexpr int kItems = kPack<T>;
    const int64_t width = y.shape().last();
    const auto *const out = static_cast<const T*>(y.raw()), *const d = static_cast<const T*>(dy.raw());
    auto* const result = static_cast<T*>(dx.raw());
    const bool packed = width % kItems == 0 && aligned_for<kItems>(out, d, result);
    launch({"softmax_backward"}, dim3(unsigned(y.shape().rows())), block_for(packed ? width / kItems : width),
           0, current_stream(y.device()),
           packed ? softmax_backward_kernel<kItems, T> : softmax_backward_kernel<1, T>, out, d, width,
           result);
  });
}

const Provide<Softmax> provide_softmax{{kKernelDevice}, softmax};
const Provide<SoftmaxBackward> provide_softmax_backward{{kKernelDevice}, softmax_backward};

}  // namespace
}  // namespace dehvf::cuda
