// Counter-based random numbers: a value depends on what it is for, never on when, where or by which thread it
// is drawn.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "core/tensor.h"

namespace dehvf {

/// Philox 4x32-10 (Salmon et al., SC 2011): four random words for a 128-bit counter under a 64-bit key.
/// constexpr, here and below, lets kernels call it too.
constexpr std::array<uint32_t, 4> philox(const std::array<uint32_t, 4>& counter, uint64_t key) {
  constexpr uint64_t kMul0 = 0xD2511F53, kMul1 = 0xCD9E8D57;
  uint32_t a = counter[0], b = counter[1], c = counter[2], d = counter[3];
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

/// Mixes one more number into a key.
constexpr uint64_t mixed_key(uint64_t key, uint64_t part) {
  const auto words = philox({uint32_t(part), uint32_t(part >> 32), 0, 0}, key);
  return words[0] | uint64_t(words[1]) << 32;
}

/// Mixes numbers that name a purpose (seed, step, layer, ...) into one key.
constexpr uint64_t random_key(std::initializer_list<uint64_t> parts) {
  uint64_t key = 0x243F6A8885A308D3;
  for (uint64_t part : parts) key = mixed_key(key, part);
  return key;
}

inline double unit_interval(uint32_t word) { return (word + 0.5) * 0x1p-32; }  // in (0, 1)

/// A stream of numbers for host code (initialisers, shuffles, generators).
class Random {
 public:
  explicit Random(uint64_t key) : key_(key) {}
  uint32_t word();
  double uniform() { return unit_interval(word()); }
  double normal();               // mean 0, variance 1
  int64_t below(int64_t bound);  // uniform in [0, bound), without modulo bias
  uint64_t position() const { return position_; }

  template <class Items>
  void shuffle(Items& items) {
    for (int64_t i = int64_t(items.size()) - 1; i > 0; --i)
      std::swap(items[size_t(i)], items[size_t(below(i + 1))]);
  }

 private:
  uint64_t key_, position_ = 0;
};

Tensor random_normal(const Shape& shape, double deviation, uint64_t key, DType dtype = DType::f32);
Tensor random_uniform(const Shape& shape, double low, double high, uint64_t key, DType dtype = DType::f32);

}  // namespace dehvf
