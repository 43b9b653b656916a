#include "core/ops/softmax.h"

#include "core/cpu/chunks.h"

namespace dehvf::cpu {
namespace {

template <class T>
void softmax_as(const Tensor& x, const Tensor& y) {
  using C = Compute<T>;
  const int64_t width = x.shape().last();
  for_rows(x.shape().rows(), width, [&](int64_t row) {
    const T* in = x.data<T>() + row * width;
    C top = -std::numeric_limits<C>::infinity(), sum = 0;
    for_chunks(width,
               [&](int64_t c, int64_t n) { top = std::max(top, Loaded<T>(in + c, n).array().maxCoeff()); });
    for_chunks(width, [&](int64_t c, int64_t n) { sum += (Loaded<T>(in + c, n).array() - top).exp().sum(); });
    const C inv = C(1) / sum;
    for_chunks(width, [&](int64_t c, int64_t n) {
      store(y.data<T>() + row * width + c, n, (Loaded<T>(in + c, n).array() - top).exp() * inv);
    });
  });
}

template <class T>
void softmax_backward_as(const Tensor& y, const Tensor& dy, const Tensor& dx) {
  const int64_t width = y.shape().last();
  for_rows(y.shape().rows(), width, [&](int64_t row) {
    const T *out = y.data<T>() + row * width, *d = dy.data<T>() + row * width;
    Compute<T> dot = 0;
    for_chunks(width, [&](int64_t c, int64_t n) {
      dot += (Loaded<T>(out + c, n).array() * Loaded<T>(d + c, n).array()).sum();
    });
    for_chunks(width, [&](int64_t c, int64_t n) {
      store(dx.data<T>() + row * width + c, n,
            Loaded<T>(out + c, n).array() * (Loaded<T>(d + c, n).array() - dot));
    });
  });
}

void softmax(const Tensor& x, const Tensor& y) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) { softmax_as<T>(x, y); });
}

void softmax_backward(const Tensor& y, const Tensor& dy, const Tensor& dx) {
  visit_float(y.dtype(), [&]<class T>(std::type_identity<T>) { softmax_backward_as<T>(y, dy, dx); });
}

const Provide<Softmax> provide_softmax{{DeviceKind::cpu}, softmax};
const Provide<SoftmaxBackward> provide_softmax_backward{{DeviceKind::cpu}, softmax_backward};

}  // namespace
}  // namespace dehvf::cpu
