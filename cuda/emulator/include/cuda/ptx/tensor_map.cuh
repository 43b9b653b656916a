// Stands in for cuda/ptx/tensor_map.cuh.
#pragma once

#include "cuda/emulator/device.h"
#include "cuda/tensor_tiles.h"

namespace dehvf::cuda::ptx {

struct alignas(64) TensorMap {
  unsigned char* data;
  uint64_t sizes[4], strides[4];  // bytes along axis 0 and elements of the others; bytes
  uint16_t box[4];                // as sizes
  Swizzle swizzle;
  uint8_t element, rank;  // bytes; axes that are not there have 1 element
};
static_assert(sizeof(TensorMap) == 128, "as the real one");

TensorMap make_tensor_map(const void* data, DType dtype, Swizzle swizzle, std::span<const TileAxis> axes);

}  // namespace dehvf::cuda::ptx
