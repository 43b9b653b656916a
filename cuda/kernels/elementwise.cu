// y = f(x):  relu max(x, 0);  silu x s(x);  gelu x/2 (1 + erf(x / sqrt 2));
//            gelu_tanh x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)));  gelu_quick x s(1.702 x);  tanh;
//            sigmoid s(x) = 1 / (1 + exp(-x))
// y = a + scale b, b of any dtype
// One thread owns 16 bytes, or one element of what is left or not aligned.
#include "core/ops/elementwise.h"
#include "cuda/kernels/map.cuh"

namespace dehvf::cuda {
namespace {

template <Activation kind>
struct Activated {
  __device__ float operator()(float x) const {
    if constexpr (kind == Activation::relu) return x < 0 ? 0.0f : x;
    if constexpr (kind == Activation::silu) return x / (1 + expf(-x));
    if constexpr (kind == Activation::gelu) return 0.5f * x * (1 + erff(x * 0.7071067811865476f));
    if constexpr (kind == Activation::gelu_tanh)
      return 0.5f * x * (1 + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
    if constexpr (kind == Activation::gelu_quick) return x / (1 + expf(-1.702f * x));
    if constexpr (kind == Activation::tanh) return tanhf(x);
    if constexpr (kind == Activation::sigmoid) return 1 / (1 + expf(-x));
  }
};

template <class Fn>
void visit_activation(Activation activation, const Fn& fn) {
  switch (activation) {
    case Activation::relu:
      return fn(Activated<Activation::relu>{});
    case Activation::silu:
      return fn(Activated<Activation::silu>{});
    case Activation::gelu:
      return fn(Activated<Activation::gelu>{});
    case Activation::gelu_tanh:
      return fn(Activated<Activation::gelu_tanh>{});
    case Activation::gelu_quick:
      return fn(Activated<Activation::gelu_quick>{});
    case Activation::tanh:
      return fn(Activated<Activation::tanh>{});
    case Activation::sigmoid:
      return fn(Activated<Activation::sigmoid>{});
  }
}

void activate(const Tensor& x, Activation activation, const Tensor& y) {
  visit_element("activate", x.dtype(), [&]<class T>(std::type_identity<T>) {
    visit_activation(activation,
                     [&](auto fn) { map_into<T>({"activate"}, y, fn, static_cast<const T*>(x.raw())); });
  });
}

struct PlusScaled {
  float scale;
  __device__ float operator()(float a, float b) const { return a + scale * b; }
};

void add(const Tensor& a, const Tensor& b, double scale_b, const Tensor& y) {
  visit_element("add", a.dtype(), [&]<class T>(std::type_identity<T>) {
    visit_element("add", b.dtype(), [&]<class B>(std::type_identity<B>) {
      map_into<T>({"add"}, y, PlusScaled{float(scale_b)}, static_cast<const T*>(a.raw()),
                  static_cast<const B*>(b.raw()));
    });
  });
}

const Provide<Activate> provide_activate{{kKernelDevice}, activate};
const Provide<Add> provide_add{{kKernelDevice}, add};

}  // namespace
}  // namespace dehvf::cuda
