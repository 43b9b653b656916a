// Stands in for cuda/ptx/grid_dependency.cuh.
#pragma once

#include "cuda/emulator/device.h"

namespace dehvf::cuda::ptx {

inline void grid_dependency_wait() {}
inline void grid_dependency_launch() {}

}  // namespace dehvf::cuda::ptx
