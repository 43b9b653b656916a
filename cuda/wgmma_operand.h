// How an operand of wgmma lies in shared memory.
#pragma once

#include "cuda/tensor_tiles.h"

namespace dehvf::cuda {

/// The axis of a matrix, M or N of [M, K] and [N, K], whose elements are neighbours.
enum class Major : uint8_t { k, mn };

/// The descriptor of the PTX manual, "Matrix descriptor format". `address` in shared memory is a multiple
/// of 16. Rows of the swizzle: 16 bytes without one, else as many as it has. Eight of them that follow each
/// other are a tile, which begins at a multiple of its bytes; `address` may be inside of its first row. An
/// operand is made of tiles:
///   Major::k, no swizzle   tile: 8 of M or N, 8 of K; `stride` to the next 8 of M or N, `leading` to the
///   next 8 of K Major::k, swizzle      tile: 8 of M or N; `stride` to the next 8; K goes on within the rows
///   Major::mn, no swizzle  tile: 8 of K, 8 of M or N; `stride` to the next 8 of M or N, `leading` to the
///   next 8 of K Major::mn, swizzle     tile: 8 of K, a row of M or N; `leading` to the next row's worth of M
///   or N, `stride` to
///                          the next 8 of K
/// In bytes, multiples of 16 below 2^18; what is not named is ignored.
inline constexpr uint64_t wgmma_descriptor_of(uint32_t address, Swizzle swizzle, uint32_t leading,
                                              uint32_t stride) {
  const auto field = [](uint32_t bytes) { return uint64_t(bytes & 0x3ffff) >> 4; };
  const uint64_t mode = swizzle == Swizzle::none ? 0 : 4 - uint64_t(swizzle);
  return field(address) | field(leading) << 16 | field(stride) << 32 | mode << 62;
}

}  // namespace dehvf::cuda
