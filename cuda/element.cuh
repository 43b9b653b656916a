// Element types as the device knows them, and the bridge from a run-time DType to them.
#pragma once

#include <string_view>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "core/dtype.h"

namespace dehvf::cuda {

__device__ inline float widened(float x) { return x; }
__device__ inline float widened(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline float widened(__half x) { return __half2float(x); }
__device__ inline float widened(uint8_t x) { return float(x); }  // of masks

/// To nearest even.
template <class T>
__device__ T rounded(float x) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>)
    return __float2bfloat16_rn(x);
  else if constexpr (std::is_same_v<T, __half>)
    return __float2half_rn(x);
  else
    return x;
}

/// Calls fn(std::type_identity<T>{}) for the device type behind `dtype`; f64 lives on the CPU only.
template <class Fn>
void visit_element(std::string_view op, DType dtype, Fn&& fn) {
  switch (dtype) {
    case DType::f32:
      return fn(std::type_identity<float>{});
    case DType::bf16:
      return fn(std::type_identity<__nv_bfloat16>{});
    case DType::f16:
      return fn(std::type_identity<__half>{});
    default:
      fail<DTypeError>(op, ": wanted f32, bf16 or f16 on cuda, found ", dtype);
  }
}

}  // namespace dehvf::cuda
