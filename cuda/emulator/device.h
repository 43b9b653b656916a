// The emulator's device side, in place of what nvcc knows by itself: the only macros of the project, barriers
// and fences.
#pragma once

#include <cmath>

#include "cuda/emulator/index.h"
#include "cuda/emulator/meet.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__

namespace dehvf {
inline namespace emulated {

using Where = std::source_location;

inline void __syncthreads(Where where = Where::current()) {
  simt::block_barrier({"__syncthreads", where}, false);
}
inline int __syncthreads_count(int vote, Where where = Where::current()) {
  return int(simt::block_barrier({"__syncthreads_count", where}, vote != 0));
}
inline int __syncthreads_and(int vote, Where where = Where::current()) {
  return simt::block_barrier({"__syncthreads_and", where}, vote == 0) == 0;
}
inline int __syncthreads_or(int vote, Where where = Where::current()) {
  return simt::block_barrier({"__syncthreads_or", where}, vote != 0) > 0;
}

inline void __threadfence() { simt::fence(); }
inline void __threadfence_block() { simt::fence(); }

}  // namespace emulated
}  // namespace dehvf

#include "cuda/emulator/atomic.h"
#include "cuda/emulator/warp.h"
