// y = f(x),  dx = dy f'(x);  f and f' in cuda/activation.cuh, who owns what in cuda/kernels/map.cuh.
#include "core/ops/elementwise.h"
#include "cuda/activation.cuh"
#include "cuda/kernels/map.cuh"

namespace dehvf::cuda {
namespace {

template <Activation kind>
struct TimesSlope {
  __device__ float operator()(float x, float dy) const { return dy * ActivationSlope<kind>{}(x); }
};

void activate(const Tensor& x, Activation activation, const Tensor& y) {
  visit_element("activate", x.dtype(), [&]<class T>(std::type_identity<T>) {
    visit_activation(activation, [&](auto kind) {
      map_into<T>({"activate"}, y, Activated<kind()>{}, static_cast<const T*>(x.raw()));
    });
  });
}

void activate_backward(const Tensor& x, const Tensor& dy, Activation activation, const Tensor& dx) {
  visit_element("activate_backward", x.dtype(), [&]<class T>(std::type_identity<T>) {
    visit_activation(activation, [&](auto kind) {
      map_into<T>({"activate_backward"}, dx, TimesSlope<kind()>{}, static_cast<const T*>(x.raw()),
                  static_cast<const T*>(dy.raw()));
    });
  });
}

const Provide<Activate> provide_activate{{kKernelDevice}, activate};
const Provide<ActivateBackward> provide_activate_backward{{kKernelDevice}, activate_backward};

}  // namespace
}  // namespace dehvf::cuda
