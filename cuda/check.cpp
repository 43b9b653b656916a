#include "cuda/check.h"

namespace dehvf::cuda {
namespace {

bool found_late(cudaError_t status) {  // raised by running kernels, seen by whatever call comes next
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorIllegalInstruction:
    case cudaErrorHardwareStackError:
    case cudaErrorAssert:
    case cudaErrorLaunchTimeout:
    case cudaErrorLaunchFailure:
      return true;
    default:
      return false;
  }
}

std::string_view file_name(const std::source_location& where) {
  const std::string_view path = where.file_name();
  return path.substr(path.find_last_of('/') + 1);
}

std::string_view advice(cudaError_t status) {
  switch (status) {
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
      return "; this build holds kernels for " DEHVF_CUDA_ARCHITECTURES
             ", configure with -DCMAKE_CUDA_ARCHITECTURES for this GPU (dehvf doctor names its compute "
             "number)";
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorInsufficientDriver:
      return "; the driver is older than this build's toolkit: update it, or build with a toolkit of its "
             "version";
    default:
      return "";
  }
}

}  // namespace

std::string describe(cudaError_t status) {
  return concat(cudaGetErrorName(status), " (", int(status), "), ", cudaGetErrorString(status),
                advice(status));
}

void check(cudaError_t status, std::string_view what, std::source_location where) {
  if (status == cudaSuccess) [[likely]]
    return;
  cudaGetLastError();  // so that the next call does not report this error again
  fail<CudaError>(what, ": ", describe(status), ", at ", file_name(where), ":", where.line(),
                  found_late(status) ? "; an earlier kernel may be the cause, DEHVF_SYNC=1 names it" : "");
}

}  // namespace dehvf::cuda
