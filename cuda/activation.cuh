// relu max(x, 0);  silu x s(x);  gelu x/2 (1 + erf(x / sqrt 2));
// gelu_tanh x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)));  gelu_quick x s(1.702 x);  tanh;
// sigmoid s(x) = 1 / (1 + exp(-x)); and their slopes.
#pragma once

#include <type_traits>

#include "core/ops/elementwise.h"

namespace dehvf::cuda {

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

template <Activation kind>
struct ActivationSlope {
  __device__ float operator()(float x) const {
    [[maybe_unused]] const auto logistic = [](float v) { return 1 / (1 + expf(-v)); };
    if constexpr (kind == Activation::relu) return x < 0 ? 0.0f : x > 0 ? 1.0f : x;  // NaN passes on
    if constexpr (kind == Activation::silu) {
      const float s = logistic(x);
      return s * (1 + x * (1 - s));
    }
    if constexpr (kind == Activation::gelu)
      return 0.5f * (1 + erff(x * 0.7071067811865476f)) + x * 0.3989422804014327f * expf(-0.5f * x * x);
    if constexpr (kind == Activation::gelu_tanh) {
      const float t = tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x));
      return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * 0.7978845608028654f * (1 + 3 * 0.044715f * x * x);
    }
    if constexpr (kind == Activation::gelu_quick) {
      const float s = logistic(1.702f * x);
      return s * (1 + 1.702f * x * (1 - s));
    }
    if constexpr (kind == Activation::tanh) {
      const float t = tanhf(x);
      return 1 - t * t;
    }
    if constexpr (kind == Activation::sigmoid) {
      const float s = logistic(x);
      return s * (1 - s);
    }
  }
};

/// fn(std::integral_constant<Activation, kind>{}) for a kind known at run time.
template <class Fn>
__host__ __device__ auto visit_activation(Activation activation, const Fn& fn) {
  switch (activation) {
    case Activation::relu:
      return fn(std::integral_constant<Activation, Activation::relu>{});
    case Activation::silu:
      return fn(std::integral_constant<Activation, Activation::silu>{});
    case Activation::gelu:
      return fn(std::integral_constant<Activation, Activation::gelu>{});
    case Activation::gelu_tanh:
      return fn(std::integral_constant<Activation, Activation::gelu_tanh>{});
    case Activation::gelu_quick:
      return fn(std::integral_constant<Activation, Activation::gelu_quick>{});
    case Activation::tanh:
      return fn(std::integral_constant<Activation, Activation::tanh>{});
    default:
      return fn(std::integral_constant<Activation, Activation::sigmoid>{});
  }
}

}  // namespace dehvf::cuda
