// Shared memory of a block.
#pragma once

namespace dehvf::cuda {

/// The block's one T, not initialised: a struct of the kernel that uses it. The same T is the same memory.
template <class T>
__device__ T& shared() {
  __shared__ T memory;
  return memory;
}

/// What the launch asked for, aligned to 1024 bytes.
template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(1024) unsigned char memory[];
  return reinterpret_cast<T*>(memory);
}

}  // namespace dehvf::cuda
