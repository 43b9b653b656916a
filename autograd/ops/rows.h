// Differentiable picking, cutting and joining of rows and columns: see core/ops/rows.h.
#pragma once

#include <span>

#include "autograd/tape.h"
#include "core/ops/rows.h"

namespace dehvf {

Variable gather_rows(const Variable& x, const Tensor& index);
/// ids i32 [n], table [vocabulary, width] -> [n, width]. Throws ShapeError naming an id that the table lacks.
Variable embedding(const Tensor& ids, const Variable& table);
Variable slice_rows(const Variable& x, int64_t begin, int64_t end);  // many pieces: autograd/ops/split.h
Variable slice_columns(const Variable& x, int64_t begin, int64_t end);
Variable concat_rows(std::span<const Variable> pieces);
Variable concat_columns(std::span<const Variable> pieces);

}  // namespace dehvf
