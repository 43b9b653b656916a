#include "core/ops/norm.h"

#include <cmath>

#include "core/cpu/chunks.h"
#include "core/ops/elementwise.h"

namespace dehvf::cpu {
namespace {

// One row's share of a sum over rows, on the stack.
template <class C>
using Term = Eigen::Array<C, Eigen::Dynamic, 1, 0, kChunk, 1>;

template <class C>
Eigen::Map<const Eigen::Array<C, Eigen::Dynamic, 1>> part(const Aligned<C>& row, int64_t begin, int64_t n) {
  return {row.data() + begin, n};
}

template <class T>
void rms_norm_as(const Tensor& x, const Tensor& weight, double eps, const Tensor& y, const Tensor& inv_rms) {
  using C = Compute<T>;
  const auto w = widened<C>(weight);
  const int64_t width = x.shape().last();
  for_rows(x.shape().rows(), width, [&](int64_t row) {
    const T* in = x.data<T>() + row * width;
    T* out = y.data<T>() + row * width;
    C squares = 0;
    for_chunks(width, [&](int64_t c, int64_t n) { squares += Loaded<T>(in + c, n).array().square().sum(); });
    const C inv = C(1) / std::sqrt(squares / C(width) + C(eps));
    inv_rms.data<C>()[row] = inv;
    for_chunks(width, [&](int64_t c, int64_t n) {
      store(out + c, n, Loaded<T>(in + c, n).array() * inv);
      store(out + c, n, Loaded<T>(out + c, n).array() * part(w, c, n));
    });
  });
}

// With h = x inv and g = dy weight: dx = inv (g - h mean(g h)).
template <class T>
void rms_norm_backward_as(const Tensor& x, const Tensor& weight, const Tensor& inv_rms, const Tensor& dy,
                          const Tensor& dx) {
  using C = Compute<T>;
  const auto w = widened<C>(weight);
  const int64_t width = x.shape().last();
  for_rows(x.shape().rows(), width, [&](int64_t row) {
    const T *in = x.data<T>() + row * width, *d = dy.data<T>() + row * width;
    const C inv = inv_rms.data<C>()[row];
    C dot = 0;
    for_chunks(width, [&](int64_t c, int64_t n) {
      dot += (Loaded<T>(d + c, n).array() * part(w, c, n) * Loaded<T>(in + c, n).array()).sum();
    });
    const C k = dot * inv * inv / C(width);
    for_chunks(width, [&](int64_t c, int64_t n) {
      store(dx.data<T>() + row * width + c, n,
            inv * (Loaded<T>(d + c, n).array() * part(w, c, n) - k * Loaded<T>(in + c, n).array()));
    });
  });
}

template <class T>
void rms_norm_weight_grad_as(const Tensor& x, const Tensor& inv_rms, const Tensor& dy,
                             const Tensor& dweight) {
  using C = Compute<T>;
  const int64_t width = x.shape().last();
  sum_over_rows(dweight.data<C>(), x.shape().rows(), width, [&](int64_t row, int64_t begin, int64_t n) {
    const int64_t at = row * width + begin;
    T normalised[kChunk];
    store(normalised, n, Loaded<T>(x.data<T>() + at, n).array() * inv_rms.data<C>()[row]);
    return Term<C>(Loaded<T>(dy.data<T>() + at, n).array() * Loaded<T>(normalised, n).array());
  });
}

template <class T>
void layer_norm_as(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps, const Tensor& y,
                   const Tensor& mean, const Tensor& inv_deviation) {
  using C = Compute<T>;
  const auto w = widened<C>(weight), b = widened<C>(bias);
  const int64_t width = x.shape().last();
  for_rows(x.shape().rows(), width, [&](int64_t row) {
    const T* in = x.data<T>() + row * width;
    C sum = 0, squares = 0;
    for_chunks(width, [&](int64_t c, int64_t n) { sum += Loaded<T>(in + c, n).array().sum(); });
    const C center = sum / C(width);
    for_chunks(width, [&](int64_t c, int64_t n) {
      squares += (Loaded<T>(in + c, n).array() - center).square().sum();
    });
    const C inv = C(1) / std::sqrt(squares / C(width) + C(eps));
    mean.data<C>()[row] = center;
    inv_deviation.data<C>()[row] = inv;
    for_chunks(width, [&](int64_t c, int64_t n) {
      store(y.data<T>() + row * width + c, n,
            (Loaded<T>(in + c, n).array() - center) * inv * part(w, c, n) + part(b, c, n));
    });
  });
}

// With h = (x - mean) inv and g = dy weight: dx = inv (g - mean(g) - h mean(g h)).
template <class T>
void layer_norm_backward_as(const Tensor& x, const Tensor& weight, const Tensor& mean,
                            const Tensor& inv_deviation, const Tensor& dy, const Tensor& dx) {
  using C = Compute<T>;
  const auto w = widened<C>(weight);
  const int64_t width = x.shape().last();
  for_rows(x.shape().rows(), width, [&](int64_t row) {
    const T *in = x.data<T>() + row * width, *d = dy.data<T>() + row * width;
    const C center = mean.data<C>()[row], inv = inv_deviation.data<C>()[row];
    C sum = 0, dot = 0;
    for_chunks(width, [&](int64_t c, int64_t n) {
      const Term<C> g = Loaded<T>(d + c, n).array() * part(w, c, n);
      sum += g.sum();
      dot += (g * (Loaded<T>(in + c, n).array() - center)).sum();
    });
    const C shift = sum / C(width), k = dot * inv * inv / C(width);
    for_chunks(width, [&](int64_t c, int64_t n) {
      store(dx.data<T>() + row * width + c, n,
            inv * (Loaded<T>(d + c, n).array() * part(w, c, n) - shift -
                   k * (Loaded<T>(in + c, n).array() - center)));
    });
  });
}

template <class T>
void layer_norm_weight_grad_as(const Tensor& x, const Tensor& mean, const Tensor& inv_deviation,
                               const Tensor& dy, const Tensor& dweight) {
  using C = Compute<T>;
  const int64_t width = x.shape().last();
  sum_over_rows(dweight.data<C>(), x.shape().rows(), width, [&](int64_t row, int64_t begin, int64_t n) {
    const int64_t at = row * width + begin;
    return Term<C>(
        Loaded<T>(dy.data<T>() + at, n).array() *
        ((Loaded<T>(x.data<T>() + at, n).array() - mean.data<C>()[row]) * inv_deviation.data<C>()[row]));
  });
}

void rms_norm(const Tensor& x, const Tensor& weight, double eps, const Tensor& y, const Tensor& inv_rms) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) { rms_norm_as<T>(x, weight, eps, y, inv_rms); });
}

void rms_norm_backward(const Tensor& x, const Tensor& weight, const Tensor& inv_rms, const Tensor& dy,
                       const Tensor& dx) {
  visit_float(x.dtype(),
              [&]<class T>(std::type_identity<T>) { rms_norm_backward_as<T>(x, weight, inv_rms, dy, dx); });
}

void rms_norm_weight_grad(const Tensor& x, const Tensor& inv_rms, const Tensor& dy, const Tensor& dweight) {
  visit_float(x.dtype(),
              [&]<class T>(std::type_identity<T>) { rms_norm_weight_grad_as<T>(x, inv_rms, dy, dweight); });
}

void layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps, const Tensor& y,
                const Tensor& mean, const Tensor& inv_deviation) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    layer_norm_as<T>(x, weight, bias, eps, y, mean, inv_deviation);
  });
}

void layer_norm_backward(const Tensor& x, const Tensor& weight, const Tensor& mean,
                         const Tensor& inv_deviation, const Tensor& dy, const Tensor& dx) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    layer_norm_backward_as<T>(x, weight, mean, inv_deviation, dy, dx);
  });
}

void layer_norm_weight_grad(const Tensor& x, const Tensor& mean, const Tensor& inv_deviation,
                            const Tensor& dy, const Tensor& dweight) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    layer_norm_weight_grad_as<T>(x, mean, inv_deviation, dy, dweight);
  });
}

// Fusing pays on a GPU only: here they are the two ops one after the other.
void add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps,
                  const Tensor& sum, const Tensor& y, const Tensor& inv_rms) {
  run<Add>(DeviceKind::cpu, x, residual, 1.0, sum);
  rms_norm(sum, weight, eps, y, inv_rms);
}

void add_rms_norm_backward(const Tensor& sum, const Tensor& weight, const Tensor& inv_rms, const Tensor& dy,
                           const Tensor& dsum, const Tensor& dx) {
  rms_norm_backward(sum, weight, inv_rms, dy, dx);
  run<Add>(DeviceKind::cpu, dx, dsum, 1.0, dx);
}

void add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                    double eps, const Tensor& sum, const Tensor& y, const Tensor& mean,
                    const Tensor& inv_deviation) {
  run<Add>(DeviceKind::cpu, x, residual, 1.0, sum);
  layer_norm(sum, weight, bias, eps, y, mean, inv_deviation);
}

void add_layer_norm_backward(const Tensor& sum, const Tensor& weight, const Tensor& mean,
                             const Tensor& inv_deviation, const Tensor& dy, const Tensor& dsum,
                             const Tensor& dx) {
  layer_norm_backward(sum, weight, mean, inv_deviation, dy, dx);
  run<Add>(DeviceKind::cpu, dx, dsum, 1.0, dx);
}

const Provide<RmsNorm> provide_rms_norm{{DeviceKind::cpu}, rms_norm};
const Provide<RmsNormBackward> provide_rms_norm_backward{{DeviceKind::cpu}, rms_norm_backward};
const Provide<AddRmsNorm> provide_add_rms_norm{{DeviceKind::cpu}, add_rms_norm};
const Provide<AddRmsNormBackward> provide_add_rms_norm_backward{{DeviceKind::cpu}, add_rms_norm_backward};
const Provide<RmsNormWeightGrad> provide_rms_norm_weight_grad{{DeviceKind::cpu}, rms_norm_weight_grad};
const Provide<LayerNorm> provide_layer_norm{{DeviceKind::cpu}, layer_norm};
const Provide<LayerNormBackward> provide_layer_norm_backward{{DeviceKind::cpu}, layer_norm_backward};
const Provide<AddLayerNorm> provide_add_layer_norm{{DeviceKind::cpu}, add_layer_norm};
const Provide<AddLayerNormBackward> provide_add_layer_norm_backward{{DeviceKind::cpu},
                                                                    add_layer_norm_backward};
const Provide<LayerNormWeightGrad> provide_layer_norm_weight_grad{{DeviceKind::cpu}, layer_norm_weight_grad};

}  // namespace
}  // namespace dehvf::cpu
