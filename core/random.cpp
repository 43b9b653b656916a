#include "core/random.h"

#include <numbers>

namespace dehvf {

std::array<uint32_t, 4> philox(const std::array<uint32_t, 4>& counter, uint64_t key) {
  constexpr uint64_t kMul0 = 0xD2511F53, kMul1 = 0xCD9E8D57;
  auto [a, b, c, d] = counter;
  auto k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = kMul0 * a, p1 = kMul1 * c;
    a = uint32_t(p1 >> 32) ^ b ^ k0;
    b = uint32_t(p1);
    c = uint32_t(p0 >> 32) ^ d ^ k1;
    d = uint32_t(p0);
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {a, b, c, d};
}

uint64_t random_key(std::initializer_list<uint64_t> parts) {
  uint64_t key = 0x243F6A8885A308D3;
  for (uint64_t part : parts) {
    const auto words = philox({uint32_t(part), uint32_t(part >> 32), 0, 0}, key);
    key = words[0] | uint64_t(words[1]) << 32;
  }
  return key;
}

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
