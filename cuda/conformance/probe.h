// Kernels of one warp that call one wrapper of cuda/ptx, each under the wrapper's name. What they return is
// held against the tables of the PTX manual, in the emulator and on hardware.
#pragma once

#include "core/registry.h"
#include "core/tensor.h"

namespace dehvf {

/// `in` [32, n] i32 is what each lane holds before, `out` [32, m] i32 what it holds afterwards; each probe
/// says what that is.
struct PtxProbe {
  static constexpr std::string_view name = "ptx_probe";
  using Key = KernelKey;
  using Entry = void (*)(const Tensor& in, const Tensor& out);
};

}  // namespace dehvf
