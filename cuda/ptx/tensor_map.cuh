// What TMA knows of a tensor. A kernel takes it as `const __grid_constant__ ptx::TensorMap`.
#pragma once

#include <cuda.h>

#include "cuda/tensor_tiles.h"

namespace dehvf::cuda::ptx {

using TensorMap = CUtensorMap;

/// Throws ShapeError as check_tiles, CudaError where the driver cannot do it.
TensorMap make_tensor_map(const void* data, DType dtype, Swizzle swizzle, std::span<const TileAxis> axes);

}  // namespace dehvf::cuda::ptx
