// Which GPUs there are and whether they can be used, asked without making a context on any of them.
#pragma once

#include <string>

#include <cuda_runtime_api.h>

namespace dehvf::cuda {

/// Sets `count`, to 0 where the driver is missing (35, or 34 with a stub), too old or without a device (100).
cudaError_t count_devices(int& count);

/// What keeps a device from being used; empty when it can be.
std::string missing_feature(int index);

/// The part of missing_feature() that another build or driver would mend.
std::string unsuited_build(int index);

}  // namespace dehvf::cuda
