#include "core/random.h"

#include <numbers>

namespace dehvf {

uint32_t Random::word() {
  const uint64_t block = position_ / 4;
  return philox({uint32_t(block), uint32_t(block >> 32), 0, 1}, key_)[position_++ % 4];
}

double Random::normal() {
  const double u = uniform(), v = uniform();
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

int64_t Random::below(int64_t bound) {
  require<Error>(bound > 0 && bound <= int64_t(1) << 32, "random: bound ", bound, " is not in [1, 2^32]");
  const uint64_t range = uint64_t(bound), limit = (uint64_t(1) << 32) / range * range;
  for (;;)
    if (const uint64_t drawn = word(); drawn < limit) return int64_t(drawn % range);
}

namespace {
template <class Draw>
Tensor draw_all(const Shape& shape, uint64_t key, DType dtype, Draw draw) {
  Tensor result(shape, dtype);
  Random random(key);
  visit_float(dtype, [&]<class T>(std::type_identity<T>) {
    for (T& value : result.span<T>()) value = T(Compute<T>(draw(random)));
  });
  return result;
}
}  // namespace

Tensor random_normal(const Shape& shape, double deviation, uint64_t key, DType dtype) {
  return draw_all(shape, key, dtype, [=](Random& random) { return deviation * random.normal(); });
}

Tensor random_uniform(const Shape& shape, double low, double high, uint64_t key, DType dtype) {
  return draw_all(shape, key, dtype, [=](Random& random) { return low + (high - low) * random.uniform(); });
}

}  // namespace dehvf
