#include "cuda/devices.h"

#include "cuda/check.h"

namespace dehvf::cuda {

cudaError_t count_devices(int& count) {
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    count = 0;
    cudaGetLastError();  // the failure is not an error of the next call
  }
  return status;
}

std::string missing_feature(int index) {
  int major = 0, minor = 0, pools = 0;
  for (const auto& [value, attribute] : {std::pair{&major, cudaDevAttrComputeCapabilityMajor},
                                         {&minor, cudaDevAttrComputeCapabilityMinor},
                                         {&pools, cudaDevAttrMemoryPoolsSupported}})
    if (const cudaError_t status = cudaDeviceGetAttribute(value, attribute, index)) {
      cudaGetLastError();
      return describe(status);
    }
  if (major < 8) return concat("compute ", major, ".", minor, " is below 8.0");
  return pools ? "" : "no stream-ordered memory";
}

}  // namespace dehvf::cuda
