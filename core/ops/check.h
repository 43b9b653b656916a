// Checks that ops share. Ops are the only place that checks; kernels trust.
#pragma once

#include <string_view>

#include "core/tensor.h"

namespace dehvf {

inline void check_same(std::string_view op, std::string_view name_a, const Tensor& a, std::string_view name_b,
                       const Tensor& b) {
  require(a.shape() == b.shape(), op, ": ", name_a, " is ", a.shape(), ", ", name_b, " is ", b.shape());
  require<DTypeError>(a.dtype() == b.dtype(), op, ": ", name_a, " is ", a.dtype(), ", ", name_b, " is ",
                      b.dtype());
  require<DeviceError>(a.device() == b.device(), op, ": ", name_a, " is on ", a.device(), ", ", name_b,
                       " on ", b.device());
}

inline void check_like(std::string_view op, std::string_view name, const Tensor& tensor, const Shape& shape,
                       DType dtype, Device device) {
  require(tensor.defined() && tensor.shape() == shape, op, ": ", name, " is ",
          tensor.defined() ? concat(tensor.shape()) : "empty", ", wanted ", shape);
  require<DTypeError>(tensor.dtype() == dtype, op, ": ", name, " is ", tensor.dtype(), ", wanted ", dtype);
  require<DeviceError>(tensor.device() == device, op, ": ", name, " is on ", tensor.device(), ", wanted ",
                       device);
}

inline void check_float(std::string_view op, std::string_view name, const Tensor& tensor) {
  require<DTypeError>(is_float(tensor.dtype()), op, ": ", name, " is ", tensor.dtype(),
                      ", wanted f32, bf16, f16 or f64");
}

/// Entries of an i32 tensor are in [0, limit). Those on another device are trusted: looking would stall it.
inline void check_indices(std::string_view op, std::string_view what, const Tensor& indices, int64_t limit) {
  if (indices.device() != kCpu) return;
  const auto entries = indices.span<int32_t>();
  for (size_t i = 0; i < entries.size(); ++i)
    require(0 <= entries[i] && entries[i] < limit, op, ": ", what, " ", entries[i], " at ", i,
            " is outside [0, ", limit, ")");
}

/// The dtype of per-row statistics and of sums kept aside: f64 beside f64 tensors, f32 beside all others.
inline DType statistics_dtype(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

}  // namespace dehvf
