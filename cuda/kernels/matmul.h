// The parts of the default product; matmul.cu chooses between them.
#pragma once

#include "core/ops/matmul.h"
#include "core/ops/product.h"

namespace dehvf::cuda {

/// Any dtypes, sizes and addresses: tiles of 64 x 64 in f32 arithmetic.
void matmul_tiled(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options);

/// The epilogue of `output` on its sums, of c's dtype or f32; `times` is empty where it has none.
void finish_product(const Tensor& sum, const Tensor& times, const ProductOutput& output);

/// The same of sums in `count` parts: [count, m, n], or a batch of those.
void finish_parts(const Tensor& parts, const Tensor& times, int count, const ProductOutput& output);

}  // namespace dehvf::cuda
