// Stands in for cuda/ptx/wgmma.cuh.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "cuda/emulator/device.h"
#include "cuda/emulator/wgmma.h"

namespace dehvf::cuda::ptx {

inline uint64_t wgmma_descriptor(const void* shared, Swizzle swizzle, uint32_t leading, uint32_t stride,
                                 Where where = Where::current()) {
  return wgmma_descriptor_of(simt::operand_address({"wgmma_descriptor", where}, shared), swizzle, leading,
                             stride);
}

template <class T, Major kA = Major::k, Major kB = Major::k, int Half>
__forceinline__ void wgmma(float (&d)[Half], uint64_t a, uint64_t b, bool accumulate,
                           Where where = Where::current()) {
  static_assert(simt::is_wgmma_width(2 * Half) &&
                (std::is_same_v<T, __nv_bfloat16> || std::is_same_v<T, __half>));
  simt::wgmma({"wgmma", where}, {2 * Half, std::is_same_v<T, __half>, kA, kB, accumulate, false, a, b},
              nullptr, d);
}
template <class T, Major kB = Major::k, int Half>
__forceinline__ void wgmma(float (&d)[Half], const uint32_t (&a)[4], uint64_t b, bool accumulate,
                           Where where = Where::current()) {
  static_assert(simt::is_wgmma_width(2 * Half) &&
                (std::is_same_v<T, __nv_bfloat16> || std::is_same_v<T, __half>));
  simt::wgmma({"wgmma", where}, {2 * Half, std::is_same_v<T, __half>, Major::k, kB, accumulate, true, 0, b},
              a, d);
}

template <int... N>
void wgmma_fence([[maybe_unused]] float (&... d)[N]) {
  static_assert(sizeof...(N) <= 2);
  simt::wgmma_fence();
}
inline void wgmma_commit() { simt::wgmma_commit(); }

template <int Left>
void wgmma_wait(Where where = Where::current()) {
  simt::wgmma_wait({"wgmma_wait", where}, Left);
}
template <int Left, int N>
void wgmma_wait(float (&)[N], Where where = Where::current()) {
  simt::wgmma_wait({"wgmma_wait", where}, Left);
}
template <int Left, int N, int M>
void wgmma_wait(float (&)[N], float (&)[M], Where where = Where::current()) {
  simt::wgmma_wait({"wgmma_wait", where}, Left);
}

}  // namespace dehvf::cuda::ptx
