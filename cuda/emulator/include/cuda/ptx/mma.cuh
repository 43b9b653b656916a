// Stands in for cuda/ptx/mma.cuh.
#pragma once

#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "cuda/emulator/tensor.h"

namespace dehvf::cuda::ptx {

template <class T>
void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                  Where where = Where::current()) {
  static_assert(std::is_same_v<T, __nv_bfloat16> || std::is_same_v<T, __half>);
  simt::multiply({"mma_m16n8k16", where}, std::is_same_v<T, __half> ? simt::mma_f16 : simt::mma_bf16, d, a,
                 b);
}

inline void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                             Where where = Where::current()) {
  simt::multiply({"mma_m16n8k8_tf32", where}, simt::mma_tf32, d, a, b);
}

}  // namespace dehvf::cuda::ptx
