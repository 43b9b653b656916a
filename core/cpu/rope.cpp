#include "core/ops/rope.h"

#include "core/cpu/chunks.h"

namespace dehvf::cpu {
namespace {

void rope(const Tensor& x, const Tensor& positions, const RopeTable& table, Turn turn, const Tensor& y) {
  const int64_t heads = x.size(1), half = x.size(2) / 2;
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    visit_float(table.cos.dtype(), [&]<class A>(std::type_identity<A>) {
      using C = Compute<T>;
      for_rows(x.size(0), 2 * heads * half, [&](int64_t token) {
        const int64_t position = positions.data<int32_t>()[token];
        const A *cos = table.cos.data<A>() + position * half, *sin = table.sin.data<A>() + position * half;
        for (int64_t head = 0; head < heads; ++head) {
          const T* from = x.data<T>() + (token * heads + head) * 2 * half;
          T* to = y.data<T>() + (token * heads + head) * 2 * half;
          for (int64_t i = 0; i < half; ++i) {
            const C c = C(Compute<A>(cos[i])), s = C(Compute<A>(sin[i])) * C(int(turn));
            const C a = C(from[i]), b = C(from[i + half]);
            to[i] = T(a * c - b * s);
            to[i + half] = T(b * c + a * s);
          }
        }
      });
    });
  });
}

const Provide<Rope> provide_rope{{DeviceKind::cpu}, rope};

}  // namespace
}  // namespace dehvf::cpu
