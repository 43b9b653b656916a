// Counter-based random numbers: a value depends on what it is for, never on when, where or by which thread it
// is drawn.
#pragma once

#include <array>
#include <cstdint>

#include "core/tensor.h"

namespace dehvf {

/// Philox 4x32-10 (Salmon et al., SC 2011): four random words for a 128-bit counter under a 64-bit key.
std::array<uint32_t, 4> philox(const std::array<uint32_t, 4>& counter, uint64_t key);

/// Mixes numbers that name a purpose (seed, step, layer, ...) into one key.
uint64_t random_key(std::initializer_list<uint64_t> parts);

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
