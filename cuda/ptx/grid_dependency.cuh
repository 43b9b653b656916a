// Kernels that overlap: one launched {"name", {.early = true}} starts when all blocks of the kernel in front
// of it have called grid_dependency_launch or ended.
#pragma once

namespace dehvf::cuda::ptx {

/// Waits until the kernel in front has ended and its results are in memory; before, nothing that it writes
/// may be read, and nothing that it reads may be written.
__device__ __forceinline__ void grid_dependency_wait() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

__device__ __forceinline__ void grid_dependency_launch() {
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}

}  // namespace dehvf::cuda::ptx
