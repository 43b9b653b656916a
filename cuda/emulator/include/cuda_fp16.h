// Stands in for CUDA's header of this name.
#pragma once

#include "core/dtype.h"
#include "cuda/emulator/device.h"

namespace dehvf {
inline namespace emulated {

using __half = f16;
inline float __half2float(f16 x) { return float(x); }
inline f16 __float2half_rn(float x) { return f16(x); }

}  // namespace emulated
}  // namespace dehvf
