// y = a + scale b, b of any dtype;   y = a b;   y = factor x;   y = x in another dtype
// Who owns what: cuda/kernels/map.cuh.
#include "core/ops/elementwise.h"
#include "cuda/kernels/map.cuh"

namespace dehvf::cuda {
namespace {

struct PlusScaled {
  float scale;
  __device__ float operator()(float a, float b) const { return a + scale * b; }
};
struct Times {
  __device__ float operator()(float a, float b) const { return a * b; }
};
struct Scaled {
  float factor;
  __device__ float operator()(float x) const { return factor * x; }
};
struct Same {
  __device__ float operator()(float x) const { return x; }
};

void add(const Tensor& a, const Tensor& b, double scale_b, const Tensor& y) {
  visit_element("add", a.dtype(), [&]<class T>(std::type_identity<T>) {
    visit_element("add", b.dtype(), [&]<class B>(std::type_identity<B>) {
      map_into<T>({"add"}, y, PlusScaled{float(scale_b)}, static_cast<const T*>(a.raw()),
                  static_cast<const B*>(b.raw()));
    });
  });
}

void multiply(const Tensor& a, const Tensor& b, const Tensor& y) {
  visit_element("multiply", a.dtype(), [&]<class T>(std::type_identity<T>) {
    map_into<T>({"multiply"}, y, Times{}, static_cast<const T*>(a.raw()), static_cast<const T*>(b.raw()));
  });
}

void scale(const Tensor& x, double factor, const Tensor& y) {
  visit_element("scale", x.dtype(), [&]<class T>(std::type_identity<T>) {
    map_into<T>({"scale"}, y, Scaled{float(factor)}, static_cast<const T*>(x.raw()));
  });
}

void cast(const Tensor& x, const Tensor& y) {
  visit_element("cast", x.dtype(), [&]<class From>(std::type_identity<From>) {
    visit_element("cast", y.dtype(), [&]<class To>(std::type_identity<To>) {
      map_into<To>({"cast"}, y, Same{}, static_cast<const From*>(x.raw()));
    });
  });
}

const Provide<Add> provide_add{{kKernelDevice}, add};
const Provide<Multiply> provide_multiply{{kKernelDevice}, multiply};
const Provide<Scale> provide_scale{{kKernelDevice}, scale};
const Provide<Cast> provide_cast{{kKernelDevice}, cast};

}  // namespace
}  // namespace dehvf::cuda
