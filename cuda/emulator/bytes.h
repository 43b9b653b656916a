// Copying and filling for the files of the emulator that the race detector is not to see: it looks into
// memcpy and memset wherever they are called.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dehvf::simt {

inline void move_bytes(void* to, const void* from, size_t bytes) {
  auto* const out = static_cast<unsigned char*>(to);
  const auto* const in = static_cast<const unsigned char*>(from);
  size_t i = 0;
  for (; i + 8 <= bytes; i += 8) {
    __builtin_memcpy(out + i, in + i, 8);
    asm volatile("");  // or the compiler makes one memcpy of it
  }
  for (; i < bytes; ++i) {
    out[i] = in[i];
    asm volatile("");
  }
}

inline bool same_bytes(const void* a, const void* b, size_t bytes) {
  const auto *const left = static_cast<const unsigned char*>(a), *const right =
                                                                     static_cast<const unsigned char*>(b);
  for (size_t i = 0; i < bytes; ++i) {
    if (left[i] != right[i]) return false;
    asm volatile("");
  }
  return true;
}

inline void fill_bytes(void* to, unsigned char value, size_t bytes) {
  auto* const out = static_cast<unsigned char*>(to);
  const uint64_t word = value * uint64_t(0x0101010101010101);
  size_t i = 0;
  for (; i + 8 <= bytes; i += 8) {
    __builtin_memcpy(out + i, &word, 8);
    asm volatile("");
  }
  for (; i < bytes; ++i) {
    out[i] = value;
    asm volatile("");
  }
}

}  // namespace dehvf::simt
