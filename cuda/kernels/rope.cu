// With c, s = cos, sin [position of the token, i] and a sign s of the turn:
//   y[i] = x[i] c - x[i + half] s,   y[i + half] = x[i + half] c + x[i] s
// A block owns a token; each thread owns packs of N pairs (x[i], x[i + half]) of its heads. y may be x.
#include "core/ops/rope.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"
#include "cuda/reduce.cuh"

namespace dehvf::cuda {
namespace {

template <int N, class T, class A>
__global__ void rope_kernel(const T* x, const int32_t* positions, const A* cos, const A* sin, float sign,
                            int heads, int half, T* y) {
  const int64_t token = blockIdx.x, row = int64_t(positions[token]) * half;
  const int packs = half / N;  // of a head
  for (int p = int(threadIdx.x); p < heads * packs; p += int(blockDim.x)) {
    const int head = p / packs, i = (p - head * packs) * N;
    const int64_t at = (token * heads + head) * 2 * half + i;
    Pack<T, N> a = load<N>(x + at), b = load<N>(x + at + half);
    const Pack<A, N> c = load<N>(cos + row + i), s = load<N>(sin + row + i);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const float low = widened(a.items[k]), high = widened(b.items[k]);
      const float turned_c = widened(c.items[k]), turned_s = widened(s.items[k]) * sign;
      a.items[k] = rounded<T>(low * turned_c - high * turned_s);
      b.items[k] = rounded<T>(high * turned_c + low * turned_s);
    }
    store(y + at, a);
    store(y + at + half, b);
  }
}

template <class T, class A>
void rope_as(const Tensor& x, const Tensor& positions, const RopeTable& table, Turn turn, const Tensor& y) {
  constexpr int kItems = kPack<T, A>, kMostThreads = 256;
  const int heads = int(x.size(1)), half = int(x.size(2) / 2);
  const auto* const in = static_cast<const T*>(x.raw());
  const auto* const cos = static_cast<const A*>(table.cos.raw());
  const auto* const sin = static_cast<const A*>(table.sin.raw());
  auto* const out = static_cast<T*>(y.raw());
  const bool packed = half % kItems == 0 && aligned_for<kItems>(in, cos, sin, out);
  const int packs = heads * (packed ? half / kItems : half);
  launch({"rope"}, dim3(unsigned(packs == 0 ? 0 : x.size(0))), block_for(packs, kMostThreads), 0,
         current_stream(x.device()), packed ? rope_kernel<kItems, T, A> : rope_kernel<1, T, A>, in,
         positions.data<int32_t>(), cos, sin, float(int(turn)), heads, half, out);
}

void rope(const Tensor& x, const Tensor& positions, const RopeTable& table, Turn turn, const Tensor& y) {
  visit_element("rope", x.dtype(), [&]<class T>(std::type_identity<T>) {
    visit_element("rope", table.cos.dtype(),
                  [&]<class A>(std::type_identity<A>) { rope_as<T, A>(x, positions, table, turn, y); });
  });
}

const Provide<Rope> provide_rope{{kKernelDevice}, rope};

}  // namespace
}  // namespace dehvf::cuda
