// c = activation(scale sum + bias) (scale times) + residual for neighbours in a row, rounded once.
#pragma once

#include "core/ops/product.h"
#include "cuda/activation.cuh"
#include "cuda/element.cuh"
#include "cuda/load.cuh"

namespace dehvf::cuda {

/// The pointers of an output and its Epilogue; what is left out is null.
template <class C>
struct OutputView {
  C* data;
  const C *bias, *residual;
  C *before, *factor;
  float scale;  // of both sums
  Activation activation;
  bool activated, gated;

  /// Of N neighbours, the first of them in `column`, element `at` of c. Gated by `times`.
  template <int N>
  __device__ void store(int64_t column, int64_t at, float (&v)[N], float (&times)[N]) const {
    each<N>([&](int i) { v[i] *= scale; });
    if (bias) add<N>(bias + column, v);
    if (before) write<N>(before + at, v);
    if (activated)
      visit_activation(activation,
                       [&](auto kind) { each<N>([&](int i) { v[i] = Activated<kind()>{}(v[i]); }); });
    if (gated) {
      each<N>([&](int i) { times[i] *= scale; });
      if (factor) write<N>(factor + at, times);
      each<N>([&](int i) { v[i] *= times[i]; });
    }
    if (residual) add<N>(residual + at, v);
    write<N>(data + at, v);
  }

  /// Whether N neighbours from a multiple of N on can be stored at once, in rows of n.
  template <int N>
  bool in_packs(int64_t n) const {
    return n % N == 0 && aligned_for<N>(data, bias, residual, before, factor);
  }

 private:
  template <int N, class Fn>
  __device__ static void each(const Fn& fn) {
#pragma unroll
    for (int i = 0; i < N; ++i) fn(i);
  }
  template <int N>
  __device__ static void add(const C* from, float (&v)[N]) {
    const Pack<C, N> pack = load<N>(from);
    each<N>([&](int i) { v[i] += widened(pack.items[i]); });
  }
  template <int N>
  __device__ static void write(C* to, const float (&v)[N]) {
    Pack<C, N> pack;
    each<N>([&](int i) { pack.items[i] = rounded<C>(v[i]); });
    dehvf::cuda::store(to, pack);
  }
};

template <class C>
OutputView<C> view_of_output(const ProductOutput& output, float alpha = 1) {
  const Epilogue& e = output.epilogue;
  const auto of = []<class T>(const Tensor& x, T*) { return x ? static_cast<T*>(x.raw()) : nullptr; };
  constexpr C* kOwn = nullptr;
  return {of(output.c, kOwn),
          of(e.bias, kOwn),
          of(e.residual, kOwn),
          of(e.before, kOwn),
          of(e.factor, kOwn),
          alpha * float(e.scale),
          e.activation.value_or(Activation::relu),
          e.activation.has_value(),
          !e.times.empty()};
}

}  // namespace dehvf::cuda
