// Boxes of a tensor in global memory, as TMA copies them to shared memory and back.
#pragma once

#include <cstdint>
#include <span>

#include "core/dtype.h"
#include "core/error.h"

namespace dehvf::cuda {

/// How a box lies in shared memory. Its rows (along axis 0) follow each other; then the 16-byte pieces change
/// places: in the address, bits 4 to 6 are xored by bits 7 to 9 (b128), 4 and 5 by 7 and 8 (b64), 4 by 7
/// (b32).
enum class Swizzle : uint8_t { none, b32, b64, b128 };

inline constexpr uint32_t swizzle_bytes(Swizzle swizzle) {
  return swizzle == Swizzle::none ? 16 : 16u << uint32_t(swizzle);
}

/// The address of what would lie at `address` without it.
inline constexpr uint64_t swizzled(Swizzle swizzle, uint64_t address) {
  return address ^ (address >> 3 & (swizzle_bytes(swizzle) - 16));
}

struct TileAxis {
  uint64_t size;    // elements
  uint64_t stride;  // elements from one to the next; of axis 0 it is 1
  uint32_t box;     // elements that are copied at a time
};

/// Throws ShapeError unless TMA can do it. Stricter than the hardware: a row of a swizzled box has just as
/// many bytes as the swizzle.
inline void check_tiles(const void* data, DType dtype, Swizzle swizzle, std::span<const TileAxis> axes) {
  const uint64_t element = size_of(dtype);
  const auto demand = [&](bool ok, const auto&... parts) {
    require<ShapeError>(ok, "tensor map: ", parts...);
  };
  demand(axes.size() >= 2 && axes.size() <= 4, "wanted 2 to 4 axes, found ", axes.size());
  demand(reinterpret_cast<uintptr_t>(data) % 16 == 0, "wanted data at a multiple of 16 bytes");
  demand(axes[0].stride == 1, "wanted stride 1 of axis 0, found ", axes[0].stride);
  for (size_t i = 0; i < axes.size(); ++i) {
    const TileAxis& axis = axes[i];
    demand(axis.size >= 1 && axis.size <= uint64_t(1) << 32, "wanted 1 to 2^32 elements along axis ", i,
           ", found ", axis.size);
    demand(axis.box >= 1 && axis.box <= 256, "wanted boxes of 1 to 256 elements along axis ", i, ", found ",
           axis.box);
    demand(i == 0 || (axis.stride * element % 16 == 0 && axis.stride * element < uint64_t(1) << 40),
           "wanted a stride of a multiple of 16 bytes below 2^40 of axis ", i, ", found ",
           axis.stride * element);
  }
  const uint64_t row = axes[0].box * element;
  demand(row % 16 == 0, "wanted rows of boxes of a multiple of 16 bytes, found ", row);
  demand(swizzle == Swizzle::none || row == swizzle_bytes(swizzle), "wanted rows of boxes of ",
         swizzle_bytes(swizzle), " bytes, as the swizzle, found ", row);
}

}  // namespace dehvf::cuda
