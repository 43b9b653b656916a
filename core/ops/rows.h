// Picking, adding up, cutting and joining rows and columns. Except where values are added these ops move
// bytes and take any dtype.
#pragma once

#include <span>

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

struct GatherRows : KernelTag<GatherRows, void(const Tensor& x, const Tensor& index, const Tensor& y)> {
  static constexpr std::string_view name = "gather_rows";
};
struct ScatterAddRows
    : KernelTag<ScatterAddRows, void(const Tensor& rows, const Tensor& index, const Tensor& sum)> {
  static constexpr std::string_view name = "scatter_add_rows";
};
struct CopyColumns : KernelTag<CopyColumns, void(const Tensor& from, int64_t from_begin, const Tensor& to,
                                                 int64_t to_begin, int64_t count)> {
  static constexpr std::string_view name = "copy_columns";
};

/// x [rows, ...], index i32 [n] -> [n, ...]. Throws ShapeError for an index outside x (where the index is on
/// the CPU).
Tensor gather_rows(const Tensor& x, const Tensor& index);
/// rows [n, ...], index i32 [n] -> [count, ...] in `dtype`: entry r is the sum of the rows whose index is r,
/// in their order, accumulated in f32 (f64).
Tensor scatter_add_rows(const Tensor& rows, const Tensor& index, int64_t count, DType dtype);

Tensor slice_columns(const Tensor& x, int64_t begin, int64_t end);  // [..., width] -> [..., end - begin]
/// to[..., to_begin + i] = from[..., from_begin + i] for i < count.
void copy_columns(const Tensor& from, int64_t from_begin, const Tensor& to, int64_t to_begin, int64_t count);
Tensor concat_columns(std::span<const Tensor> pieces);  // joined along the last axis
Tensor concat_rows(std::span<const Tensor> pieces);     // joined along the first axis

}  // namespace dehvf
