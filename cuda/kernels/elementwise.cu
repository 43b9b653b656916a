// y = f(x), f one of cuda/activation.cuh
// y = a + scale b, b of any dtype
// One thread owns 16 bytes, or one element of what is left or not aligned.
#include "core/ops/elementwise.h"
#include "cuda/activation.cuh"
#include "cuda/kernels/map.cuh"

namespace dehvf::cuda {
namespace {

void activate(const Tensor& x, Activation activation, const Tensor& y) {
  visit_element("activate", x.dtype(), [&]<class T>(std::type_identity<T>) {
    visit_activation(activation, [&](auto kind) {
      map_into<T>({"activate"}, y, Activated<kind()>{}, static_cast<const T*>(x.raw()));
    });
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

struct Same {
  __device__ float operator()(float x) const { return x; }
};

void cast(const Tensor& x, const Tensor& y) {
  visit_element("cast", x.dtype(), [&]<class X>(std::type_identity<X>) {
    visit_element("cast", y.dtype(), [&]<class Y>(std::type_identity<Y>) {
      map_into<Y>({"cast"}, y, Same{}, static_cast<const X*>(x.raw()));
    });
  });
}

const Provide<Activate> provide_activate{{kKernelDevice}, activate};
const Provide<Add> provide_add{{kKernelDevice}, add};
const Provide<Cast> provide_cast{{kKernelDevice}, cast};

}  // namespace
}  // namespace dehvf::cuda
