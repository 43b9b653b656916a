// Products of a warpgroup that go on beside its threads.
#pragma once

#include "cuda/emulator/report.h"
#include "cuda/wgmma_operand.h"

namespace dehvf::simt {

using cuda::Major;
using cuda::Swizzle;

constexpr bool is_wgmma_width(int n) {
  return n == 64 || n == 96 || n == 128 || n == 160 || n == 192 || n == 256;
}

/// What all threads of the warpgroup say alike.
struct WgmmaCall {
  int n;
  bool half;  // else bf16
  Major a_major, b_major;
  bool accumulate, a_in_registers;
  uint64_t a, b;
  friend bool operator==(const WgmmaCall&, const WgmmaCall&) = default;
};

uint32_t operand_address(const Site& site, const void* shared);
void wgmma(const Site& site, const WgmmaCall& call, const uint32_t* a, float* d);
void wgmma_fence();
void wgmma_commit();
void wgmma_wait(const Site& site, size_t left);

}  // namespace dehvf::simt
