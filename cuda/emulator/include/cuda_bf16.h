// Stands in for CUDA's header of this name.
#pragma once

#include "core/dtype.h"
#include "cuda/emulator/device.h"

namespace dehvf {
inline namespace emulated {

using __nv_bfloat16 = bf16;
inline float __bfloat162float(bf16 x) { return float(x); }
inline bf16 __float2bfloat16_rn(float x) { return bf16(x); }

}  // namespace emulated
}  // namespace dehvf
