// inv_r = 1 / sqrt(sum_c x_rc^2 / width + eps),  y_rc = round(x_rc inv_r) w_c, rounded again.
// Of x = a + b, rounded, where a residual is added first; the gradient of both is then dx + the sum's own.
// With g = dy w and h = x inv:  dx = inv (g - h mean_c(g h)),  dw_c = sum_r dy_rc round(h_rc).
// A block owns a row (cuda/kernels/held_row.cuh); the sums of dw are those of cuda/kernels/column_sums.cuh.
#include "core/ops/norm.h"
#include "cuda/kernels/column_sums.cuh"
#include "cuda/kernels/held_row.cuh"
#include "cuda/launch.cuh"

namespace dehvf::cuda {
namespace {

// Of x alone where `residual` and `sum` are null, of their sum else; the same below.
template <bool adds, int N, class T, class W>
__global__ void rms_norm_kernel(const T* x, const T* residual, const W* weight, float eps, int64_t width,
                                T* sum, T* y, float* inv_rms) {
  using Row = HeldRow<N, T>;
  const int64_t row = blockIdx.x, at = row * width;
  const Row in = adds ? Row(x + at, residual + at, sum + at, width) : Row(x + at, width);
  T* const out = y + at;
  float squares = 0;
  for_packs<N>(width, [&](int k, int64_t c) {
    const Pack<T, N> pack = in.at(k, c);
#pragma unroll
    for (int i = 0; i < N; ++i) squares += widened(pack.items[i]) * widened(pack.items[i]);
  });
  const float inv = 1 / sqrtf(block_sum(squares) / float(width) + eps);
  if (threadIdx.x == 0) inv_rms[row] = inv;
  for_packs<N>(width, [&](int k, int64_t c) {
    Pack<T, N> pack = in.at(k, c);
    const Pack<W, N> w = load<N>(weight + c);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const T normalised = rounded<T>(widened(pack.items[i]) * inv);
      pack.items[i] = rounded<T>(widened(normalised) * widened(w.items[i]));
    }
    store(out + c, pack);
  });
}

template <bool adds, int N, class T, class W>
__global__ void rms_norm_backward_kernel(const T* x, const W* weight, const float* inv_rms, const T* dy,
                                         const T* dsum, int64_t width, T* dx) {
  const int64_t row = blockIdx.x;
  const HeldRow<N, T> in(x + row * width, width), above(dy + row * width, width);
  T* const out = dx + row * width;
  const float inv = inv_rms[row];
  float dot = 0;
  for_packs<N>(width, [&](int k, int64_t c) {
    const Pack<T, N> pack = in.at(k, c), d = above.at(k, c);
    const Pack<W, N> w = load<N>(weight + c);
#pragma unroll
    for (int i = 0; i < N; ++i) dot += widened(d.items[i]) * widened(w.items[i]) * widened(pack.items[i]);
  });
  const HeldRow<N, T> beside(adds ? dsum + row * width : nullptr, adds ? width : 0);
  const float along = block_sum(dot) * inv * inv / float(width);
  for_packs<N>(width, [&](int k, int64_t c) {
    Pack<T, N> pack = in.at(k, c);
    const Pack<T, N> d = above.at(k, c), more = adds ? beside.at(k, c) : Pack<T, N>{};
    const Pack<W, N> w = load<N>(weight + c);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const float g = widened(d.items[i]) * widened(w.items[i]);
      const float dx_here = inv * (g - along * widened(pack.items[i]));
      pack.items[i] = rounded<T>(adds ? dx_here + widened(more.items[i]) : dx_here);
    }
    store(out + c, pack);
  });
}

template <class T>
struct RmsWeightTerm {
  static constexpr int kItems = kPack<T>;
  const T *x, *dy;
  const float* inv_rms;
  int64_t width;
  bool packed() const { return width % kItems == 0 && aligned_for<kItems>(x, dy); }
  template <int N>
  __device__ Pack<float, N> at(int64_t row, int64_t c) const {
    const Pack<T, N> in = load<N>(x + row * width + c), d = load<N>(dy + row * width + c);
    const float inv = inv_rms[row];
    Pack<float, N> out;
#pragma unroll
    for (int i = 0; i < N; ++i)
      out.items[i] = widened(d.items[i]) * widened(rounded<T>(widened(in.items[i]) * inv));
    return out;
  }
};

void add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps,
                  const Tensor& sum, const Tensor& y, const Tensor& inv_rms) {
  const Tensor weights = cast(weight, weight_dtype(x.dtype(), weight.dtype()));
  const auto launch_as = [&]<class T, class W>(std::type_identity<T>, std::type_identity<W>) {
    constexpr int kItems = kPack<T>;
    const auto *const in = data_of<const T>(x), *const more = data_of<const T>(residual);
    const auto* const w = data_of<const W>(weights);
    auto *const out = data_of<T>(y), *const total = data_of<T>(sum);
    const int64_t width = x.shape().last();
    const bool packed = width % kItems == 0 && aligned_for<kItems>(in, more, w, out, total);
    const auto plain = packed ? rms_norm_kernel<false, kItems, T, W> : rms_norm_kernel<false, 1, T, W>;
    const auto added = packed ? rms_norm_kernel<true, kItems, T, W> : rms_norm_kernel<true, 1, T, W>;
    launch({"rms_norm"}, dim3(unsigned(x.shape().rows())), row_block(packed ? width / kItems : width), 0,
           current_stream(x.device()), more ? added : plain, in, more, w, float(eps), width, total, out,
           inv_rms.data<float>());
  };
  visit_weighted("rms_norm", x.dtype(), weights.dtype(), launch_as);
}

void rms_norm(const Tensor& x, const Tensor& weight, double eps, const Tensor& y, const Tensor& inv_rms) {
  add_rms_norm(x, {}, weight, eps, {}, y, inv_rms);
}

void add_rms_norm_backward(const Tensor& x, const Tensor& weight, const Tensor& inv_rms, const Tensor& dy,
                           const Tensor& dsum, const Tensor& dx) {
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
        packed ? rms_norm_backward_kernel<false, kItems, T, W> : rms_norm_backward_kernel<false, 1, T, W>;
    const auto added =
        packed ? rms_norm_backward_kernel<true, kItems, T, W> : rms_norm_backward_kernel<true, 1, T, W>;
    launch({"rms_norm_backward"}, dim3(unsigned(x.shape().rows())),
           row_block(packed ? width / kItems : width), 0, current_stream(x.device()), more ? added : plain,
           in, w, inv_rms.data<float>(), d, more, width, out);
  };
  visit_weighted("rms_norm_backward", x.dtype(), weights.dtype(), launch_as);
}

void rms_norm_backward(const Tensor& x, const Tensor& weight, const Tensor& inv_rms, const Tensor& dy,
                       const Tensor& dx) {
  add_rms_norm_backward(x, weight, inv_rms, dy, {}, dx);
}

void rms_norm_weight_grad(const Tensor& x, const Tensor& inv_rms, const Tensor& dy, const Tensor& dweight) {
  visit_element("rms_norm_weight_grad", x.dtype(), [&]<class T>(std::type_identity<T>) {
    const int64_t width = x.shape().last();
    const RmsWeightTerm<T> term{static_cast<const T*>(x.raw()), static_cast<const T*>(dy.raw()),
                                inv_rms.data<float>(), width};
    column_sums({"rms_norm_weight_grad"}, term, x.shape().rows(), width, dweight);
  });
}

const Provide<RmsNorm> provide_rms_norm{{kKernelDevice}, rms_norm};
const Provide<RmsNormBackward> provide_rms_norm_backward{{kKernelDevice}, rms_norm_backward};
const Provide<AddRmsNorm> provide_add_rms_norm{{kKernelDevice}, add_rms_norm};
const Provide<AddRmsNormBackward> provide_add_rms_norm_backward{{kKernelDevice}, add_rms_norm_backward};
const Provide<RmsNormWeightGrad> provide_rms_norm_weight_grad{{kKernelDevice}, rms_norm_weight_grad};

}  // namespace
}  // namespace dehvf::cuda
