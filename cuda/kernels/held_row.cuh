// What the norms share: a block owns a row, each thread every blockDim-th pack of it, and keeps the first
// kHeld of them in registers between its passes over the row.
#pragma once

#include "core/ops/elementwise.h"
#include "cuda/element.cuh"
#include "cuda/load.cuh"
#include "cuda/reduce.cuh"

namespace dehvf::cuda {

inline constexpr int kHeld = 4;

/// body(k, column) for each pack of this thread; k stays kHeld for those that are not kept.
template <int N, class Body>
__device__ void for_packs(int64_t width, const Body& body) {
  const int64_t step = int64_t(blockDim.x) * N;
  int64_t c = int64_t(threadIdx.x) * N;
#pragma unroll
  for (int k = 0; k < kHeld; ++k, c += step)
    if (c < width) body(k, c);
  for (; c < width; c += step) body(kHeld, c);
}

template <int N, class T>
class HeldRow {
 public:
  __device__ HeldRow(const T* row, int64_t width) : row_(row) {
    for_packs<N>(width, [this](int k, int64_t c) {
      if (k < kHeld) held_[k] = load<N>(row_ + c);
    });
  }
  /// Of a + b, rounded, which is written to `sum` on the way.
  __device__ HeldRow(const T* a, const T* b, T* sum, int64_t width) : row_(sum) {
    const HeldRow left(a, width), right(b, width);
    for_packs<N>(width, [&](int k, int64_t c) {
      Pack<T, N> pack = left.at(k, c);
      const Pack<T, N> more = right.at(k, c);
#pragma unroll
      for (int i = 0; i < N; ++i) pack.items[i] = rounded<T>(widened(pack.items[i]) + widened(more.items[i]));
      store(sum + c, pack);
      if (k < kHeld) held_[k] = pack;
    });
  }
  __device__ Pack<T, N> at(int k, int64_t c) const { return k < kHeld ? held_[k] : load<N>(row_ + c); }

 private:
  const T* row_;
  Pack<T, N> held_[kHeld];
};

/// Two packs a thread where the row has them.
inline dim3 row_block(int64_t packs) { return block_for((packs + 1) / 2); }

/// fn(x's type, W) for W the type of the weights as kernels read them: that of x, or f32.
template <class Fn>
void visit_weighted(std::string_view op, DType x, DType weight, const Fn& fn) {
  visit_element(op, x, [&]<class T>(std::type_identity<T> type) {
    weight == x ? fn(type, type) : fn(type, std::type_identity<float>{});
  });
}
inline DType weight_dtype(DType x, DType weight) { return weight == x ? x : DType::f32; }

/// Null for an empty tensor.
template <class T>
T* data_of(const Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.raw()) : nullptr;
}

}  // namespace dehvf::cuda
