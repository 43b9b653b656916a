// Stands in for cuda/shared.cuh: shared memory comes from the arena of the block.
#pragma once

#include <source_location>

#include "cuda/emulator/device.h"

namespace dehvf::cuda {

template <class T>
T& shared(std::source_location where = std::source_location::current()) {
  static constexpr char kKey = 0;
  return *static_cast<T*>(simt::shared_of(&kKey, sizeof(T), alignof(T), where));
}

template <class T>
T* dynamic_shared() {
  return static_cast<T*>(simt::dynamic_shared());
}

}  // namespace dehvf::cuda
