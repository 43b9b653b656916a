// The largest unit in which bytes can be moved.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cuda/load.cuh"

namespace dehvf::cuda {

/// Calls fn(std::type_identity<Unit>{}) for a unit of at most 16 bytes that divides every one of `bytes`:
/// addresses, strides and sizes.
template <class Fn, class... Bytes>
void visit_unit(const Fn& fn, Bytes... bytes) {
  const uint64_t all = (uint64_t(bytes) | ...);
  if (all % 16 == 0) return fn(std::type_identity<Pack<uint32_t, 4>>{});
  if (all % 8 == 0) return fn(std::type_identity<uint64_t>{});
  if (all % 4 == 0) return fn(std::type_identity<uint32_t>{});
  if (all % 2 == 0) return fn(std::type_identity<uint16_t>{});
  fn(std::type_identity<uint8_t>{});
}

inline uint64_t address(const void* data) { return reinterpret_cast<uintptr_t>(data); }

}  // namespace dehvf::cuda
