// With c, s = cos, sin [position of the token, i] and a sign s of the turn:
//   y[i] = x[i] c - x[i + half] s,   y[i + half] = x[i + half] c + x[i] s
// A block owns a token; each thread owns packs of N pairs (x[i], x[i + half]) of its heads, of up to two
// tensors. y may be x.
#include <algorithm>

#include "core/ops/rope.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"
#include "cuda/reduce.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kAtOnce = 2;

template <class T>
struct Heads {
  const T* x[kAtOnce];
  T* y[kAtOnce];
  int count[kAtOnce];
  __host__ __device__ int all() const { return count[0] + count[1]; }
};

template <int N, class T, class A>
__global__ void rope_kernel(Heads<T> heads, const int32_t* positions, const A* cos, const A* sin, float sign,
                            int half) {
  const int64_t token = blockIdx.x, row = int64_t(positions[token]) * half;
  const int packs = half / N;  // of a head
  for (int p = int(threadIdx.x); p < heads.all() * packs; p += int(blockDim.x)) {
    int head = p / packs;
    const int i = (p - head * packs) * N, which = head >= heads.count[0];
    if (which) head -= heads.count[0];
    const int64_t at = (token * heads.count[which] + head) * 2 * half + i;
    Pack<T, N> a = load<N>(heads.x[which] + at), b = load<N>(heads.x[which] + at + half);
    const Pack<A, N> c = load<N>(cos + row + i), s = load<N>(sin + row + i);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const float low = widened(a.items[k]), high = widened(b.items[k]);
      const float turned_c = widened(c.items[k]), turned_s = widened(s.items[k]) * sign;
      a.items[k] = rounded<T>(low * turned_c - high * turned_s);
      b.items[k] = rounded<T>(high * turned_c + low * turned_s);
    }
    store(heads.y[which] + at, a);
    store(heads.y[which] + at + half, b);
  }
}

template <class T, class A>
void rope_as(std::span<const TurnedHeads> all, const Tensor& positions, const RopeTable& table, Turn turn) {
  constexpr int kItems = kPack<T, A>, kMostThreads = 256;
  const int half = int(table.cos.size(1));
  const auto* const cos = static_cast<const A*>(table.cos.raw());
  const auto* const sin = static_cast<const A*>(table.sin.raw());
  Heads<T> heads{};
  bool packed = half % kItems == 0 && aligned_for<kItems>(cos, sin);
  for (size_t i = 0; i < all.size(); ++i) {
    heads.x[i] = static_cast<const T*>(all[i].x.raw());
    heads.y[i] = static_cast<T*>(all[i].y.raw());
    heads.count[i] = int(all[i].x.size(1));
    packed = packed && aligned_for<kItems>(heads.x[i], heads.y[i]);
  }
  const int packs = heads.all() * (packed ? half / kItems : half);
  launch({"rope"}, dim3(unsigned(packs == 0 ? 0 : positions.size(0))), block_for(packs, kMostThreads), 0,
         current_stream(positions.device()), packed ? rope_kernel<kItems, T, A> : rope_kernel<1, T, A>, heads,
         positions.data<int32_t>(), cos, sin, float(int(turn)), half);
}

void rope(std::span<const TurnedHeads> all, const Tensor& positions, const RopeTable& table, Turn turn) {
  visit_element("rope", all[0].x.dtype(), [&]<class T>(std::type_identity<T>) {
    visit_element("rope", table.cos.dtype(), [&]<class A>(std::type_identity<A>) {
      for (size_t first = 0; first < all.size(); first += kAtOnce)
        rope_as<T, A>(all.subspan(first, std::min(size_t(kAtOnce), all.size() - first)), positions, table,
                      turn);
    });
  });
}

const Provide<Rope> provide_rope{{kKernelDevice}, rope};

}  // namespace
}  // namespace dehvf::cuda
