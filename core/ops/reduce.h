// Sums over axes, in a fixed order.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

struct SumRows : KernelTag<SumRows, void(const Tensor& x, const Tensor& sum)> {
  static constexpr std::string_view name = "sum_rows";
};
struct DotRows : KernelTag<DotRows, void(const Tensor& a, const Tensor& b, const Tensor& dots)> {
  static constexpr std::string_view name = "dot_rows";
};
struct SumAll : KernelTag<SumAll, void(const Tensor& x, const Tensor& sum)> {
  static constexpr std::string_view name = "sum_all";
};

/// x [..., width] -> [width], the sum over all rows, in `dtype` (f32 for a parameter's gradient).
Tensor sum_rows(const Tensor& x, DType dtype);
Tensor dot_rows(const Tensor& a, const Tensor& b);  // [..., width] twice -> [...], one inner product a row
Tensor sum_all(const Tensor& x);                    // a scalar [] in the statistics dtype

}  // namespace dehvf
