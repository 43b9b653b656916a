// Stands in for cuda/ptx/fence.cuh.
#pragma once

#include "cuda/emulator/device.h"
#include "cuda/emulator/mbarrier.h"

namespace dehvf::cuda::ptx {

inline void fence_proxy_async() { simt::proxy_fence(); }
inline void fence_mbarrier_init() { simt::mbarrier_fence(); }

}  // namespace dehvf::cuda::ptx
