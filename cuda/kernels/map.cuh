// y = fn(x...) element by element: what every elementwise kernel is made of.
#pragma once

#include "core/tensor.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"

namespace dehvf::cuda {

inline constexpr int kMapThreads = 256, kMapPacks = 2;  // packs of each input that a thread loads at once

/// y[i] = fn(in[i]...) in f32, rounded once. The first `tiles` blocks own kMapPacks packs of N elements a
/// thread, the others one element a thread. y may be one of the inputs.
template <int N, class Fn, class Y, class... In>
__global__ void map_kernel(int64_t tiles, int64_t count, Fn fn, Y* y, const In*... in) {
  constexpr int64_t kTile = int64_t(N) * kMapPacks * kMapThreads;
  const int64_t block = blockIdx.x;
  if (block >= tiles) {
    const int64_t i = tiles * kTile + (block - tiles) * kMapThreads + threadIdx.x;
    if (i < count) y[i] = rounded<Y>(fn(widened(in[i])...));
    return;
  }
  const auto pack_of = [&fn](const Pack<In, N>&... x) {
    Pack<Y, N> result;
#pragma unroll
    for (int k = 0; k < N; ++k) result.items[k] = rounded<Y>(fn(widened(x.items[k])...));
    return result;
  };
  const int64_t first = block * kTile + int64_t(threadIdx.x) * N;
  Pack<Y, N> results[kMapPacks];
#pragma unroll
  for (int p = 0; p < kMapPacks; ++p) results[p] = pack_of(load<N>(in + first + p * kMapThreads * N)...);
#pragma unroll
  for (int p = 0; p < kMapPacks; ++p) store(y + first + p * kMapThreads * N, results[p]);
}

/// Runs map_kernel over `y` and the data of as many elements behind `in`.
template <class Y, class Fn, class... In>
void map_into(LaunchSite site, const Tensor& y, const Fn& fn, const In*... in) {
  constexpr int kItems = kPack<Y, In...>, kTile = kItems * kMapPacks * kMapThreads;
  Y* const out = static_cast<Y*>(y.raw());
  const int64_t count = y.count();
  const int64_t tiles = aligned_for<kItems>(out, in...) ? count / kTile : 0;
  const int64_t blocks = tiles + (count - tiles * kTile + kMapThreads - 1) / kMapThreads;
  launch(site, dim3(unsigned(blocks)), dim3(kMapThreads), 0, current_stream(y.device()),
         map_kernel<kItems, Fn, Y, In...>, tiles, count, fn, out, in...);
}

}  // namespace dehvf::cuda
