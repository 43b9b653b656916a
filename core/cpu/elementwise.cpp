#include "core/ops/elementwise.h"

#include <numbers>

#include "core/cpu/chunks.h"

namespace dehvf::cpu {
namespace {

template <class X>
auto logistic(const X& x) {
  using C = typename X::Scalar;
  return C(1) / (C(1) + (-x).exp());
}

// A chunk on the stack: what is used twice is computed once.
template <class C>
using Once = Eigen::Array<C, Eigen::Dynamic, 1, 0, kChunk, 1>;

constexpr double kTanhScale = 0.7978845608028654, kTanhCubic = 0.044715, kQuick = 1.702;

template <class T>
void activate_as(const Tensor& x, Activation activation, const Tensor& y) {
  using C = Compute<T>;
  const auto apply = [&](const auto& fn) { map_into(y.data<T>(), x.count(), fn, x.data<T>()); };
  switch (activation) {
    case Activation::relu:
      return apply([](const auto& v) { return v.max(C(0)); });
    case Activation::silu:
      return apply([](const auto& v) { return v * logistic(v); });
    case Activation::gelu_quick:
      return apply([](const auto& v) { return v / (C(1) + (v * C(-kQuick)).exp()); });
    case Activation::tanh:
      return apply([](const auto& v) { return v.tanh(); });
    case Activation::sigmoid:
      return apply([](const auto& v) { return logistic(v); });
    case Activation::gelu:
      return apply([](const auto& v) {
        return v.unaryExpr(
            [](C u) { return C(0.5) * u * (C(1) + std::erf(u * C(std::numbers::sqrt2 / 2))); });
      });
    case Activation::gelu_tanh:
      return apply([](const auto& v) {
        return C(0.5) * v * (C(1) + (C(kTanhScale) * (v + C(kTanhCubic) * v.cube())).tanh());
      });
  }
}

template <class C>
C gelu_slope(C u) {  // Phi(u) + u phi(u)
  const C density = std::exp(C(-0.5) * u * u) * C(0.3989422804014327);
  return C(0.5) * (C(1) + std::erf(u * C(std::numbers::sqrt2 / 2))) + u * density;
}

template <class C>
C gelu_tanh_slope(C u) {
  const C t = std::tanh(C(kTanhScale) * (u + C(kTanhCubic) * u * u * u));
  return C(0.5) * (C(1) + t) +
         C(0.5) * u * (C(1) - t * t) * C(kTanhScale) * (C(1) + C(3 * kTanhCubic) * u * u);
}

// d/du of u sigmoid(k u), as dy s (1 + k u (1 - s)).
template <class V, class D, class C>
Once<C> swish_backward(const V& v, const D& d, C k) {
  const Once<C> s = C(1) / (C(1) + (v * -k).exp());
  return d * s * (C(1) + k * v * (C(1) - s));
}

template <class T>
void activate_backward_as(const Tensor& x, const Tensor& dy, Activation activation, const Tensor& dx) {
  using C = Compute<T>;
  const auto apply = [&](const auto& fn) {
    map_into(dx.data<T>(), x.count(), fn, x.data<T>(), dy.data<T>());
  };
  switch (activation) {
    case Activation::relu:
      return apply([](const auto& v, const auto& d) { return (v > C(0)).select(d, C(0)); });
    case Activation::silu:
      return apply([](const auto& v, const auto& d) { return swish_backward(v, d, C(1)); });
    case Activation::gelu_quick:
      return apply([](const auto& v, const auto& d) { return swish_backward(v, d, C(kQuick)); });
    case Activation::tanh:
      return apply([](const auto& v, const auto& d) { return d * (C(1) - v.tanh().square()); });
    case Activation::sigmoid:
      return apply([](const auto& v, const auto& d) -> Once<C> {
        const Once<C> s = logistic(v);
        return d * s * (C(1) - s);
      });
    case Activation::gelu:
      return apply(
          [](const auto& v, const auto& d) { return d * v.unaryExpr([](C u) { return gelu_slope(u); }); });
    case Activation::gelu_tanh:
      return apply([](const auto& v, const auto& d) {
        return d * v.unaryExpr([](C u) { return gelu_tanh_slope(u); });
      });
  }
}

void activate(const Tensor& x, Activation activation, const Tensor& y) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) { activate_as<T>(x, activation, y); });
}

void activate_backward(const Tensor& x, const Tensor& dy, Activation activation, const Tensor& dx) {
  visit_float(x.dtype(),
              [&]<class T>(std::type_identity<T>) { activate_backward_as<T>(x, dy, activation, dx); });
}

void add(const Tensor& a, const Tensor& b, double scale_b, const Tensor& y) {
  visit_float(a.dtype(), [&]<class T>(std::type_identity<T>) {
    visit_float(b.dtype(), [&]<class B>(std::type_identity<B>) {
      using C = Compute<T>;
      const auto k = C(scale_b);
      map_into(
          y.data<T>(), a.count(), [k](const auto& u, const auto& v) { return u + k * v.template cast<C>(); },
          a.data<T>(), b.data<B>());
    });
  });
}

void multiply(const Tensor& a, const Tensor& b, const Tensor& y) {
  visit_float(a.dtype(), [&]<class T>(std::type_identity<T>) {
    map_into(
        y.data<T>(), a.count(), [](const auto& u, const auto& v) { return u * v; }, a.data<T>(), b.data<T>());
  });
}

void scale(const Tensor& x, double factor, const Tensor& y) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    const auto k = Compute<T>(factor);
    map_into(
        y.data<T>(), x.count(), [k](const auto& v) { return k * v; }, x.data<T>());
  });
}

template <class From>
void cast_from(const Tensor& x, const Tensor& y) {
  visit_float(y.dtype(), [&]<class T>(std::type_identity<T>) {
    map_into(
        y.data<T>(), x.count(), [](const auto& v) { return v.template cast<Compute<T>>(); }, x.data<From>());
  });
}

void cast(const Tensor& x, const Tensor& y) {
  if (x.dtype() == DType::f8e4m3) return cast_from<f8e4m3>(x, y);
  visit_float(x.dtype(), [&]<class From>(std::type_identity<From>) { cast_from<From>(x, y); });
}

void swiglu(const Tensor& gate, const Tensor& up, const Tensor& y) {
  visit_float(gate.dtype(), [&]<class T>(std::type_identity<T>) {
    map_into(
        y.data<T>(), y.count(), [](const auto& g, const auto& u) { return g * logistic(g) * u; },
        gate.data<T>(), up.data<T>());
  });
}

void swiglu_backward(const Tensor& gate, const Tensor& up, const Tensor& dy, const Tensor& dgate,
                     const Tensor& dup) {
  visit_float(gate.dtype(), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    parallel_ranges(dy.count(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += kChunk) {
        const int64_t n = std::min(kChunk, end - i);
        const Loaded<T> g(gate.data<T>() + i, n), u(up.data<T>() + i, n), d(dy.data<T>() + i, n);
        const Once<C> s = logistic(g.array());
        store(dgate.data<T>() + i, n, d.array() * u.array() * s * (C(1) + g.array() * (C(1) - s)));
        store(dup.data<T>() + i, n, d.array() * g.array() * s);
      }
    });
  });
}

// y row r = fn(x row r, `row`), in chunks of columns.
template <class T, class Fn>
void with_row(const Tensor& x, const Tensor& row, const Tensor& y, const Fn& fn) {
  const int64_t width = x.shape().last();
  for_rows(x.shape().rows(), width, [&](int64_t r) {
    for (int64_t c = 0; c < width; c += kChunk) {
      const int64_t n = std::min(kChunk, width - c);
      store(y.data<T>() + r * width + c, n,
            fn(Loaded<T>(x.data<T>() + r * width + c, n).array(), Loaded<T>(row.data<T>() + c, n).array()));
    }
  });
}

void add_row(const Tensor& x, const Tensor& row, const Tensor& y) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    with_row<T>(x, row, y, [](const auto& a, const auto& b) { return a + b; });
  });
}

void multiply_row(const Tensor& x, const Tensor& row, const Tensor& y) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    with_row<T>(x, row, y, [](const auto& a, const auto& b) { return a * b; });
  });
}

void multiply_column(const Tensor& x, const Tensor& column, const Tensor& y) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    const int64_t width = x.shape().last();
    for_rows(x.shape().rows(), width, [&](int64_t r) {
      const auto factor = Compute<T>(column.data<T>()[r]);
      for (int64_t c = 0; c < width; c += kChunk) {
        const int64_t n = std::min(kChunk, width - c);
        store(y.data<T>() + r * width + c, n, factor * Loaded<T>(x.data<T>() + r * width + c, n).array());
      }
    });
  });
}

const Provide<Activate> provide_activate{{DeviceKind::cpu}, activate};
const Provide<ActivateBackward> provide_activate_backward{{DeviceKind::cpu}, activate_backward};
const Provide<Add> provide_add{{DeviceKind::cpu}, add};
const Provide<Multiply> provide_multiply{{DeviceKind::cpu}, multiply};
const Provide<Scale> provide_scale{{DeviceKind::cpu}, scale};
const Provide<Cast> provide_cast{{DeviceKind::cpu}, cast};
const Provide<SwiGlu> provide_swiglu{{DeviceKind::cpu}, swiglu};
const Provide<SwiGluBackward> provide_swiglu_backward{{DeviceKind::cpu}, swiglu_backward};
const Provide<AddRow> provide_add_row{{DeviceKind::cpu}, add_row};
const Provide<MultiplyRow> provide_multiply_row{{DeviceKind::cpu}, multiply_row};
const Provide<MultiplyColumn> provide_multiply_column{{DeviceKind::cpu}, multiply_column};

}  // namespace
}  // namespace dehvf::cpu
