// Addresses as PTX instructions take them.
#pragma once

#include <cstdint>

namespace dehvf::cuda::ptx {

__device__ __forceinline__ uint32_t shared_address(const void* data) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(data));
}

__device__ __forceinline__ uint64_t global_address(const void* data) {
  return __cvta_generic_to_global(data);
}

}  // namespace dehvf::cuda::ptx
