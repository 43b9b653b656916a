// y = fn(x...) element by element: what every elementwise kernel is made of.
#pragma once

#include "core/tensor.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"

namespace dehvf::cuda {

/// y[i] = fn(in[i]...) in f32, rounded once. The first `packs` threads own N elements each, the others one of
/// the rest. y may be one of the inputs.
template <int N, class Fn, class Y, class... In>
__global__ void map_kernel(int64_t packs, int64_t count, Fn fn, Y* y, const In*... in) {
  const int64_t thread = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (thread < packs) {
    const auto pack_of = [&fn](const Pack<In, N>&... x) {
      Pack<Y, N> result;
#pragma unroll
      for (int k = 0; k < N; ++k) result.items[k] = rounded<Y>(fn(widened(x.items[k])...));
      return result;
    };
    store(y + thread * N, pack_of(load<N>(in + thread * N)...));
  } else if (const int64_t i = packs * N + (thread - packs); i < count) {
    y[i] = rounded<Y>(fn(widened(in[i])...));
  }
}

/// Runs map_kernel over `y` and the data of as many elements behind `in`.
template <class Y, class Fn, class... In>
void map_into(LaunchSite site, const Tensor& y, const Fn& fn, const In*... in) {
  constexpr int kThreads = 256, kItems = kPack<Y, In...>;
  Y* const out = static_cast<Y*>(y.raw());
  const int64_t count = y.count();
  const int64_t packs = aligned_for<kItems>(out, in...) ? count / kItems : 0;
  const int64_t threads = packs + (count - packs * kItems);
  launch(site, dim3(unsigned((threads + kThreads - 1) / kThreads)), dim3(kThreads), 0,
         current_stream(y.device()), map_kernel<kItems, Fn, Y, In...>, packs, count, fn, out, in...);
}

}  // namespace dehvf::cuda
