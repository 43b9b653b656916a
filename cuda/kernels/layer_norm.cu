// mean_r = sum_c x_rc / width,  inv_r = 1 / sqrt(sum_c (x_rc - mean_r)^2 / width + eps),
// y_rc = (x_rc - mean_r) inv_r w_c + b_c.
// Of x = a + b, rounded, where a residual is added first; the gradient of both is then dx + the sum's own.
// With g = dy w and h = (x - mean) inv:  dx = inv (g - mean_c(g) - h mean_c(g h)),  dw_c = sum_r dy_rc h_rc.
// A block owns a row (cuda/kernels/held_row.cuh); the sums of dw are those of cuda/kernels/column_sums.cuh.
#include "core/ops/norm.h"
#include "cuda/kernels/column_sums.cuh"
#include "cuda/kernels/held_row.cuh"
#include "cuda/launch.cuh"

namespace dehvf::cuda {
namespace {

// Of x alone where `residual` and `total` are null, of their sum else; the same below.
template <bool adds, int N, class T, class W>
__global__ void layer_norm_kernel(const T* x, const T* residual, const W* weight, const W* bias, float eps,
                                  int64_t width, T* total, T* y, float* mean, float* inv_deviation) {
  using Row = HeldRow<N, T>;
  const int64_t row = blockIdx.x, at = row * width;
  const Row in = adds ? Row(x + at, residual + at, total + at, width) : Row(x + at, width);
  T* const out = y + at;
  float sum = 0, squares = 0;
  for_packs<N>(width, [&](int k, int64_t c) {
    const Pack<T, N> pack = in.at(k, c);
#pragma unroll
    for (int i = 0; i < N; ++i) sum += widened(pack.items[i]);
  });
  const float center = block_sum(sum) / float(width);
  for_packs<N>(width, [&](int k, int64_t c) {
    const Pack<T, N> pack = in.at(k, c);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const float off = widened(pack.items[i]) - center;
      squares += off * off;
    }
  });
  const float inv = 1 / sqrtf(block_sum(squares) / float(width) + eps);
  if (threadIdx.x == 0) {
    mean[row] = center;
    inv_deviation[row] = inv;
  }
  for_packs<N>(width, [&](int k, int64_t c) {
    Pack<T, N> pack = in.at(k, c);
    const Pack<W, N> w = load<N>(weight + c), b = load<N>(bias + c);
#pragma unroll
    for (int i = 0; i < N; ++i)
      pack.items[i] =
          rounded<T>((widened(pack.items[i]) - center) * inv * widened(w.items[i]) + widened(b.items[i]));
    store(out + c, pack);
  });
}

template <bool adds, int N, class T, class W>
__global__ void layer_norm_backward_kernel(const T* x, const W* weight, const float* mean,
                                           const float* inv_deviation, const T* dy, const T* dsum,
                                           int64_t width, T* dx) {
  const int64_t row = blockIdx.x;
  const HeldRow<N, T> in(x + row * width, width), above(dy + row * width, width);
  T* const out = dx + row * width;
  const float center = mean[row], inv = inv_deviation[row];
  float sum = 0, dot = 0;
  for_packs<N>(width, [&](int k, int64_t c) {
    const Pack<T, N> pack = in.at(k, c), d = above.at(k, c);
    const Pack<W, N> w = load<N>(weight + c);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const float g = widened(d.items[i]) * widened(w.items[i]);
      sum += g;
      dot += g * (widened(pack.items[i]) - center);
    }
  });
  const HeldRow<N, T> beside(adds ? dsum + row * width : nullptr, adds ? width : 0);
  const float shift = block_sum(sum) / float(width);
  const float along = block_sum(dot) * inv * inv / float(width);
  for_packs<N>(width, [&](int k, int64_t c) {
    Pack<T, N> pack = in.at(k, c);
    const Pack<T, N> d = above.at(k, c), more = adds ? beside.at(k, c) : Pack<T, N>{};
    const Pack<W, N> w = load<N>(weight + c);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const float g = widened(d.items[i]) * widened(w.items[i]);
      const float dx_here = inv * (g - shift - along * (widened(pack.items[i]) - center));
      pack.items[i] = rounded<T>(adds ? dx_here + widened(more.items[i]) : dx_here);
    }
    store(out + c, pack);
  });
}

template <class T>
struct LayerWeightTerm {
  static constexpr int kItems = kPack<T>;
  const T *x, *dy;
  const float *mean, *inv_deviation;
  int64_t width;
  bool packed() const { return width % kItems == 0 && aligned_for<kItems>(x, dy); }
  template <int N>
  __device__ Pack<float, N> at(int64_t row, int64_t c) const {
    const Pack<T, N> in = load<N>(x + row * width + c), d = load<N>(dy + row * width + c);
    const float center = mean[row], inv = inv_deviation[row];
    Pack<float, N> out;
#pragma unroll
    for (int i = 0; i < N; ++i) out.items[i] = widened(d.items[i]) * ((widened(in.items[i]) - center) * inv);
    return out;
  }
};

void add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                    double eps, const Tensor& sum, const Tensor& y, const Tensor& mean,
                    const Tensor& inv_deviation) {
  const DType type = weight.dtype() == bias.dtype() ? weight_dtype(x.dtype(), weight.dtype()) : DType::f32;
  const Tensor weights = cast(weight, type), biases = cast(bias, type);
  const auto launch_as = [&]<class T, class W>(std::type_identity<T>, std::type_identity<W>) {
    constexpr int kItems = kPack<T>;
    const auto *const in = data_of<const T>(x), *const more = data_of<const T>(residual);
    const auto *const w = data_of<const W>(weights), *const b = data_of<const W>(biases);
    auto *const out = data_of<T>(y), *const total = data_of<T>(sum);
    const int64_t width = x.shape().last();
    const bool packed = width % kItems == 0 && aligned_for<kItems>(in, more, w, b, out, total);
    const auto plain = packed ? layer_norm_kernel<false, kItems, T, W> : layer_norm_kernel<false, 1, T, W>;
    const auto added = packed ? layer_norm_kernel<true, kItems, T, W> : layer_norm_kernel<true, 1, T, W>;
    launch({"layer_norm"}, dim3(unsigned(x.shape().rows())), row_block(packed ? width / kItems : width), 0,
           current_stream(x.device()), more ? added : plain, in, more, w, b, float(eps), width, total, out,
           mean.data<float>(), inv_deviation.data<float>());
  };
  visit_weighted("layer_norm", x.dtype(), type, launch_as);
}

void layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps, const Tensor& y,
                const Tensor& mean, const Tensor& inv_deviation) {
  add_layer_norm(x, {}, weight, bias, eps, {}, y, mean, inv_deviation);
}

void add_layer_norm_backward(const Tensor& x, const Tensor& weight, const Tensor& mean,
                             const Tensor& inv_deviation, const Tensor& dy, const Tensor& dsum,
                             const Tensor& dx) {
  const Tensor weights = cast(weight, weight_dtype(x.dtype(), weight.dtype()));
  const auto launch_as = [&]<class T, class W>(std::type_identity<T>, std::type_identity<W>) {
    constexpr int kItems = kPack<T>;
    const auto *const in = data_of<const T>(x), *const d = data_of<const T>(dy),
                      *const more = data_of<const T>(dsum);
    const auto* const w = data_of<const W>(weights);
    auto* const out = data_of<T>(dx);
    const int64_t width = x.shape().last();
    const bool packed = width % kItems == 0 && aligned_for<kItems>(in, d, more, w, out);
    const auto plain =
        packed ? layer_norm_backward_kernel<false, kItems, T, W> : layer_norm_backward_kernel<false, 1, T, W>;
    const auto added =
        packed ? layer_norm_backward_kernel<true, kItems, T, W> : layer_norm_backward_kernel<true, 1, T, W>;
    launch({"layer_norm_backward"}, dim3(unsigned(x.shape().rows())),
           row_block(packed ? width / kItems : width), 0, current_stream(x.device()), more ? added : plain,
           in, w, mean.data<float>(), inv_deviation.data<float>(), d, more, width, out);
  };
  visit_weighted("layer_norm_backward", x.dtype(), weights.dtype(), launch_as);
}

void layer_norm_backward(const Tensor& x, const Tensor& weight, const Tensor& mean,
                         const Tensor& inv_deviation, const Tensor& dy, const Tensor& dx) {
  add_layer_norm_backward(x, weight, mean, inv_deviation, dy, {}, dx);
}

void layer_norm_weight_grad(const Tensor& x, const Tensor& mean, const Tensor& inv_deviation,
                            const Tensor& dy, const Tensor& dweight) {
  visit_element("layer_norm_weight_grad", x.dtype(), [&]<class T>(std::type_identity<T>) {
    const int64_t width = x.shape().last();
    const LayerWeightTerm<T> term{static_cast<const T*>(x.raw()), static_cast<const T*>(dy.raw()),
                                  mean.data<float>(), inv_deviation.data<float>(), width};
    column_sums({"layer_norm_weight_grad"}, term, x.shape().rows(), width, dweight);
  });
}

const Provide<LayerNorm> provide_layer_norm{{kKernelDevice}, layer_norm};
const Provide<LayerNormBackward> provide_layer_norm_backward{{kKernelDevice}, layer_norm_backward};
const Provide<AddLayerNorm> provide_add_layer_norm{{kKernelDevice}, add_layer_norm};
const Provide<AddLayerNormBackward> provide_add_layer_norm_backward{{kKernelDevice}, add_layer_norm_backward};
const Provide<LayerNormWeightGrad> provide_layer_norm_weight_grad{{kKernelDevice}, layer_norm_weight_grad};

}  // namespace
}  // namespace dehvf::cuda
