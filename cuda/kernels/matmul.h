// The parts of the default product; matmul.cu chooses between them.
#pragma once

#include "core/ops/matmul.h"

namespace dehvf::cuda {

/// Any dtypes, sizes and addresses: tiles of 64 x 64 in f32 arithmetic.
void matmul_tiled(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options);

}  // namespace dehvf::cuda
