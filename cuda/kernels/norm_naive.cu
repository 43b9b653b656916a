// The norms of norm.cu and layer_norm.cu as one reads them: one thread owns a row.
#include "core/ops/elementwise.h"
#include "core/ops/norm.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"

namespace dehvf::cuda {
namespace {

template <class T>
__global__ void rms_norm_naive_kernel(const T* x, const float* weight, float eps, int64_t rows, int64_t width,
                                      T* y, float* inv_rms) {
  const int64_t row = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  x += row * width;
  y += row * width;
  float squares = 0;
  for (int64_t c = 0; c < width; ++c) squares += widened(x[c]) * widened(x[c]);
  const float inv = inv_rms[row] = 1 / sqrtf(squares / float(width) + eps);
  for (int64_t c = 0; c < width; ++c) y[c] = rounded<T>(widened(rounded<T>(widened(x[c]) * inv)) * weight[c]);
}

template <class T>
__global__ void rms_norm_backward_naive_kernel(const T* x, const float* weight, const float* inv_rms,
                                               const T* dy, int64_t rows, int64_t width, T* dx) {
  const int64_t row = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  x += row * width;
  dy += row * width;
  dx += row * width;
  const float inv = inv_rms[row];
  float dot = 0;
  for (int64_t c = 0; c < width; ++c) dot += widened(dy[c]) * weight[c] * widened(x[c]);
  const float along = dot * inv * inv / float(width);
  for (int64_t c = 0; c < width; ++c)
    dx[c] = rounded<T>(inv * (widened(dy[c]) * weight[c] - along * widened(x[c])));
}

template <class T>
__global__ void layer_norm_naive_kernel(const T* x, const float* weight, const float* bias, float eps,
                                        int64_t rows, int64_t width, T* y, float* mean,
                                        float* inv_deviation) {
  const int64_t row = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  x += row * width;
  y += row * width;
  float sum = 0, squares = 0;
  for (int64_t c = 0; c < width; ++c) sum += widened(x[c]);
  const float center = mean[row] = sum / float(width);
  for (int64_t c = 0; c < width; ++c) squares += (widened(x[c]) - center) * (widened(x[c]) - center);
  const float inv = inv_deviation[row] = 1 / sqrtf(squares / float(width) + eps);
  for (int64_t c = 0; c < width; ++c) y[c] = rounded<T>((widened(x[c]) - center) * inv * weight[c] + bias[c]);
}

constexpr int kThreads = 128;
dim3 blocks_for(int64_t rows) { return dim3(unsigned((rows + kThreads - 1) / kThreads)); }

void rms_norm_naive(const Tensor& x, const Tensor& weight, double eps, const Tensor& y,
                    const Tensor& inv_rms) {
  const Tensor w = cast(weight, DType::f32);
  const int64_t rows = x.shape().rows(), width = x.shape().last();
  visit_element("rms_norm", x.dtype(), [&]<class T>(std::type_identity<T>) {
    launch({"rms_norm_naive"}, blocks_for(rows), dim3(kThreads), 0, current_stream(x.device()),
           rms_norm_naive_kernel<T>, static_cast<const T*>(x.raw()), w.data<float>(), float(eps), rows, width,
           static_cast<T*>(y.raw()), inv_rms.data<float>());
  });
}

void rms_norm_backward_naive(const Tensor& x, const Tensor& weight, const Tensor& inv_rms, const Tensor& dy,
                             const Tensor& dx) {
  const Tensor w = cast(weight, DType::f32);
  const int64_t rows = x.shape().rows(), width = x.shape().last();
  visit_element("rms_norm_backward", x.dtype(), [&]<class T>(std::type_identity<T>) {
    launch({"rms_norm_backward_naive"}, blocks_for(rows), dim3(kThreads), 0, current_stream(x.device()),
           rms_norm_backward_naive_kernel<T>, static_cast<const T*>(x.raw()), w.data<float>(),
           inv_rms.data<float>(), static_cast<const T*>(dy.raw()), rows, width, static_cast<T*>(dx.raw()));
  });
}

void layer_norm_naive(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps, const Tensor& y,
                      const Tensor& mean, const Tensor& inv_deviation) {
  const Tensor w = cast(weight, DType::f32), b = cast(bias, DType::f32);
  const int64_t rows = x.shape().rows(), width = x.shape().last();
  visit_element("layer_norm", x.dtype(), [&]<class T>(std::type_identity<T>) {
    launch({"layer_norm_naive"}, blocks_for(rows), dim3(kThreads), 0, current_stream(x.device()),
           layer_norm_naive_kernel<T>, static_cast<const T*>(x.raw()), w.data<float>(), b.data<float>(),
           float(eps), rows, width, static_cast<T*>(y.raw()), mean.data<float>(),
           inv_deviation.data<float>());
  });
}

const Provide<RmsNorm> provide_rms_norm{{kKernelDevice, "naive"}, rms_norm_naive};
const Provide<RmsNormBackward> provide_rms_norm_backward{{kKernelDevice, "naive"}, rms_norm_backward_naive};
const Provide<LayerNorm> provide_layer_norm{{kKernelDevice, "naive"}, layer_norm_naive};

}  // namespace
}  // namespace dehvf::cuda
