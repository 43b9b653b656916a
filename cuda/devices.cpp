#include "cuda/devices.h"

#include "cuda/architectures.h"
#include "cuda/check.h"

namespace dehvf::cuda {
namespace {

// Sets each value from its attribute; success, or what was wrong.
std::string read(int index, std::initializer_list<std::pair<int*, cudaDeviceAttr>> wanted) {
  for (const auto& [value, attribute] : wanted)
    if (const cudaError_t status = cudaDeviceGetAttribute(value, attribute, index)) {
      cudaGetLastError();
      return describe(status);
    }
  return {};
}

}  // namespace

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
  std::string wrong = read(index, {{&major, cudaDevAttrComputeCapabilityMajor},
                                   {&minor, cudaDevAttrComputeCapabilityMinor},
                                   {&pools, cudaDevAttrMemoryPoolsSupported}});
  if (!wrong.empty()) return wrong;
  if (major < 8) return concat("compute ", major, ".", minor, " is below 8.0");
  return pools ? unsuited_build(index) : "no stream-ordered memory";
}

std::string unsuited_build(int index) {
  GpuFacts gpu;
  const std::string wrong = read(index, {{&gpu.major, cudaDevAttrComputeCapabilityMajor},
                                         {&gpu.minor, cudaDevAttrComputeCapabilityMinor}});
  if (!wrong.empty() || gpu.major < 8) return {};
  cudaDriverGetVersion(&gpu.driver);
  return unsuited(gpu, {DEHVF_CUDA_ARCHITECTURES, CUDART_VERSION});
}

}  // namespace dehvf::cuda
