#include "core/device_report.h"

#include "cuda/architectures.h"
#include "cuda/check.h"
#include "cuda/devices.h"

namespace dehvf {
namespace cuda {
namespace {

std::string gibibytes(size_t bytes) {
  const size_t tenths = (bytes * 10 + (size_t(1) << 29)) >> 30;
  return concat(tenths / 10, ".", tenths % 10, " GiB");
}

std::string report(int index) {
  cudaDeviceProp properties{};
  if (const cudaError_t status = cudaGetDeviceProperties(&properties, index))
    return concat("cuda:", index, " unreadable: ", describe(status));
  const std::string missing = missing_feature(index);
  return concat("cuda:", index, " ", properties.name, ", compute ", properties.major, ".", properties.minor,
                ", ", gibibytes(properties.totalGlobalMem), missing.empty() ? "" : ", not used: ", missing);
}

}  // namespace
}  // namespace cuda

bool built_with_cuda() { return true; }

std::string cuda_report() {
  int driver = 0, runtime = 0, count = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  const std::string versions =
      concat("driver ", cuda::cuda_version(driver), ", runtime ", cuda::cuda_version(runtime));
  const cudaError_t status = cuda::count_devices(count);
  if (count == 0)
    return concat("no CUDA device: ",
                  status == cudaSuccess ? "the driver lists none" : cuda::describe(status), "; ", versions);
  std::string line;
  for (int i = 0; i < count; ++i) line += cuda::report(i) + "; ";
  cudaGetLastError();
  return line + versions;
}

std::string cuda_refusal() {
  int driver = 0, count = 0;
  const cudaError_t status = cuda::count_devices(count);
  cudaDriverGetVersion(&driver);
  if (status == cudaErrorInsufficientDriver && driver > 0)
    return cuda::unsuited({.driver = driver}, {{}, CUDART_VERSION});
  std::string first;
  for (int i = 0; i < count; ++i) {
    if (cuda::missing_feature(i).empty()) return {};
    const std::string reason = cuda::unsuited_build(i);
    if (first.empty() && !reason.empty()) first = concat("cuda:", i, " is not used: ", reason);
  }
  return first;
}

int64_t cuda_free_bytes(int index) {
  size_t free = 0, total = 0;
  if (cudaSetDevice(index) != cudaSuccess || cudaMemGetInfo(&free, &total) != cudaSuccess) cudaGetLastError();
  return int64_t(free);
}

size_t cuda_memory(int index) {
  cudaDeviceProp properties{};
  const bool known = cudaGetDeviceProperties(&properties, index) == cudaSuccess;
  cudaGetLastError();
  return known ? properties.totalGlobalMem : 0;
}

std::string cuda_bus_id(int index) {
  char id[32] = "";
  const bool known = cudaDeviceGetPCIBusId(id, sizeof id, index) == cudaSuccess;
  cudaGetLastError();
  return known ? id : "";
}

}  // namespace dehvf
