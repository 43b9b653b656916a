// Turns a status of the CUDA runtime into an exception that names the call, the code and the calling line.
#pragma once

#include <source_location>
#include <string_view>

#include <cuda_runtime_api.h>

#include "core/backend.h"
#include "core/error.h"

namespace dehvf::cuda {

struct CudaError : DeviceError {
  using DeviceError::DeviceError;
};

/// Throws CudaError unless `status` is success: "rms_norm: cudaErrorInvalidValue (1), invalid argument, at
/// norm.cu:40". An error that belongs to an earlier, asynchronous call says so.
void check(cudaError_t status, std::string_view what,
           std::source_location where = std::source_location::current());

/// "cudaErrorNoDevice (100), no CUDA-capable device is detected"
std::string describe(cudaError_t status);

/// The runtime's handle; null is the default stream of the current device.
inline cudaStream_t native(const Stream& stream) { return static_cast<cudaStream_t>(stream.handle); }

}  // namespace dehvf::cuda
