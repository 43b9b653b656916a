// What a kernel knows about its place: the objects that nvcc provides by itself.
#pragma once

#include <cstdint>

// An inline namespace, so that what kernel sources put into dehvf::cuda lands in dehvf::emulated::cuda and
// can be linked beside the same sources compiled by nvcc.
namespace dehvf {
inline namespace emulated {

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// Set whenever a thread of the emulated device takes over.
inline thread_local constinit uint3 threadIdx{}, blockIdx{};
inline thread_local constinit dim3 blockDim{}, gridDim{};
inline constexpr int warpSize = 32;

namespace cuda {}

}  // namespace emulated
}  // namespace dehvf
