// Runs a kernel on an emulated device: one fiber a thread, blocks in the order of their index, on 4
// multiprocessors that hold one block each.
#pragma once

#include <functional>

#include "cuda/emulator/report.h"

namespace dehvf::simt {

inline constexpr unsigned kMultiprocessors = 4;

struct Launch {
  const char* kernel;
  std::source_location where;  // of the launch
  dim3 grid, block;
  size_t shared;         // bytes of dynamic shared memory
  unsigned cluster = 1;  // blocks along x that run together and know each other's shared memory
};

/// Calls `thread` once for every thread of the grid and returns when all have ended. The order of all steps
/// depends on the launch only. Throws KernelFault, or what a thread throws.
void run_grid(const Launch& launch, const std::function<void()>& thread);

}  // namespace dehvf::simt
