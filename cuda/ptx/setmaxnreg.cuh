// Moves registers between warpgroups. The kernel needs __launch_bounds__(threads, 1); all warps of a
// warpgroup make the same call, and meet at a barrier before the next one. Registers: a multiple of 8 from 24
// to 256, which each thread has afterwards.
#pragma once

namespace dehvf::cuda::ptx {

/// Waits until the others have given away enough.
template <int Registers>
__device__ __forceinline__ void setmaxnreg_inc() {
  static_assert(Registers >= 24 && Registers <= 256 && Registers % 8 == 0);
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
}

template <int Registers>
__device__ __forceinline__ void setmaxnreg_dec() {
  static_assert(Registers >= 24 && Registers <= 256 && Registers % 8 == 0);
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
}

}  // namespace dehvf::cuda::ptx
