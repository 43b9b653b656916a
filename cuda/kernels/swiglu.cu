// With s = 1 / (1 + exp(-gate)):  y = gate s up;   dgate = dy up s (1 + gate (1 - s)),  dup = dy gate s
// One thread owns 16 bytes of each operand, or one element of what is left or not aligned.
#include "core/ops/elementwise.h"
#include "cuda/kernels/map.cuh"

namespace dehvf::cuda {
namespace {

struct Gated {
  __device__ float operator()(float gate, float up) const { return gate / (1 + expf(-gate)) * up; }
};

struct GatedGrads {
  float gate, up;
};
__device__ GatedGrads gated_backward(float gate, float up, float dy) {
  const float s = 1 / (1 + expf(-gate));
  return {dy * up * s * (1 + gate * (1 - s)), dy * gate * s};
}

template <int N, class T>
__global__ void swiglu_backward_kernel(int64_t packs, int64_t count, const T* gate, const T* up, const T* dy,
                                       T* dgate, T* dup) {
  const int64_t thread = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, at = thread * N;
  if (thread < packs) {
    Pack<T, N> g = load<N>(gate + at), u = load<N>(up + at);
    const Pack<T, N> d = load<N>(dy + at);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const GatedGrads grads = gated_backward(widened(g.items[k]), widened(u.items[k]), widened(d.items[k]));
      g.items[k] = rounded<T>(grads.gate);
      u.items[k] = rounded<T>(grads.up);
    }
    store(dgate + at, g);
    store(dup + at, u);
  } else if (const int64_t i = packs * N + (thread - packs); i < count) {
    const GatedGrads grads = gated_backward(widened(gate[i]), widened(up[i]), widened(dy[i]));
    dgate[i] = rounded<T>(grads.gate);
    dup[i] = rounded<T>(grads.up);
  }
}

void swiglu(const Tensor& gate, const Tensor& up, const Tensor& y) {
  visit_element("swiglu", gate.dtype(), [&]<class T>(std::type_identity<T>) {
    map_into<T>({"swiglu"}, y, Gated{}, static_cast<const T*>(gate.raw()), static_cast<const T*>(up.raw()));
  });
}

void swiglu_backward(const Tensor& gate, const Tensor& up, const Tensor& dy, const Tensor& dgate,
                     const Tensor& dup) {
  visit_element("swiglu_backward", gate.dtype(), [&]<class T>(std::type_identity<T>) {
    constexpr int kThreads = 256, kItems = kPack<T>;
    const auto *const g = static_cast<const T*>(gate.raw()), *const u = static_cast<const T*>(up.raw());
    const auto* const d = static_cast<const T*>(dy.raw());
    auto *const dg = static_cast<T*>(dgate.raw()), *const du = static_cast<T*>(dup.raw());
    const int64_t count = dy.count(), packs = aligned_for<kItems>(g, u, d, dg, du) ? count / kItems : 0;
    const int64_t threads = packs + (count - packs * kItems);
    launch({"swiglu_backward"}, dim3(unsigned((threads + kThreads - 1) / kThreads)), dim3(kThreads), 0,
           current_stream(dy.device()), swiglu_backward_kernel<kItems, T>, packs, count, g, u, d, dg, du);
  });
}

const Provide<SwiGlu> provide_swiglu{{kKernelDevice}, swiglu};
const Provide<SwiGluBackward> provide_swiglu_backward{{kKernelDevice}, swiglu_backward};

}  // namespace
}  // namespace dehvf::cuda
