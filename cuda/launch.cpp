#include "cuda/launch.cuh"

#include <cstdlib>
#include <string_view>

namespace dehvf::cuda {
namespace {

bool waits_for_kernels() {
  static const bool wanted = [] {
    const char* value = std::getenv("DEHVF_SYNC");
    return value && std::string_view(value) == "1";
  }();
  return wanted;
}

}  // namespace

void begin_launch(const LaunchSite& site, const Stream& stream) {
  check(cudaSetDevice(stream.device.index), site.kernel, site.where);
}

void end_launch(const LaunchSite& site, const Stream& stream, cudaError_t status) {
  check(status, site.kernel, site.where);
  check(cudaGetLastError(), site.kernel, site.where);
  if (waits_for_kernels()) check(cudaStreamSynchronize(native(stream)), site.kernel, site.where);
}

}  // namespace dehvf::cuda
