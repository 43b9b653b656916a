#include "core/ops/rope.h"

#include "core/cpu/chunks.h"

namespace dehvf::cpu {
namespace {

void turn_heads(const Tensor& x, const Tensor& positions, const RopeTable& table, Turn turn,
                const Tensor& y) {
  const int64_t heads = x.size(1), half = x.size(2) / 2;
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    visit_float(table.cos.dtype(), [&]<class A>(std::type_identity<A>) {
      using C = Compute<T>;
      constexpr int64_t kTokens = 64;
      parallel_ranges(x.size(0), kTokens, [&](int64_t begin, int64_t end) {
        Aligned<C> c(static_cast<size_t>(half)), s(static_cast<size_t>(half));  // of one token, for all heads
        for (int64_t token = begin; token < end; ++token) {
          const int64_t row = positions.data<int32_t>()[token] * half;
          for (int64_t i = 0; i < half; ++i) {
            c[size_t(i)] = C(Compute<A>(table.cos.data<A>()[row + i]));
            s[size_t(i)] = C(Compute<A>(table.sin.data<A>()[row + i])) * C(int(turn));
          }
          for (int64_t head = 0; head < heads; ++head) {
            const T* from = x.data<T>() + (token * heads + head) * 2 * half;
            T* to = y.data<T>() + (token * heads + head) * 2 * half;
            for (int64_t i = 0; i < half; ++i) {
              const C a = C(from[i]), b = C(from[i + half]);
              to[i] = T(a * c[size_t(i)] - b * s[size_t(i)]);
              to[i + half] = T(b * c[size_t(i)] + a * s[size_t(i)]);
            }
          }
        }
      });
    });
  });
}

void rope(std::span<const TurnedHeads> all, const Tensor& positions, const RopeTable& table, Turn turn) {
  for (const auto& [x, y] : all) turn_heads(x, positions, table, turn, y);
}

const Provide<Rope> provide_rope{{DeviceKind::cpu}, rope};

}  // namespace
}  // namespace dehvf::cpu
