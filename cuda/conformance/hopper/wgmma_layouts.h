// Where the operands of the wgmma probes lie in shared memory.
#pragma once

#include "cuda/wgmma_operand.h"

namespace dehvf::cuda {

inline constexpr int kOperandWords = 16 << 10;  // of a in the first half, of b in the second

struct WgmmaLayout {
  uint32_t begin;  // bytes from the beginning of shared memory
  Swizzle swizzle;
  uint32_t leading, stride;
};

/// Tiles with a gap of one behind each, so that no stride is what it would be by chance. With a swizzle along
/// K the operand begins in the second 32 bytes of its rows where they have some.
inline WgmmaLayout wgmma_layout(Swizzle swizzle, Major major, uint32_t rows, uint32_t begin) {
  const uint32_t tile = 8 * swizzle_bytes(swizzle), per_row = swizzle_bytes(swizzle) / 2;
  if (swizzle == Swizzle::none) return {begin, swizzle, 2 * tile * (rows / 8), 2 * tile};
  if (major == Major::k) return {begin + (swizzle == Swizzle::b32 ? 0 : 32), swizzle, 16, 2 * tile};
  return {begin, swizzle, 2 * tile, 2 * tile * (rows / per_row)};
}

}  // namespace dehvf::cuda
