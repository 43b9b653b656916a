#include "cuda/launch.cuh"

#include <cstdlib>
#include <string_view>

#include "core/kernel.h"

namespace dehvf::cuda {

bool waits_for_kernels() {
  static const bool wanted = [] {
    const char* value = std::getenv("DEHVF_SYNC");
    return value && std::string_view(value) == "1";
  }();
  return wanted;
}

void begin_launch(const LaunchSite& site, const Stream& stream) {
  check(cudaSetDevice(stream.device.index), site.kernel, site.where);
  if (Trace* trace = Trace::current()) ++trace->launches;
}

unsigned set_attributes(const LaunchOptions& options, cudaLaunchAttribute (&attributes)[2]) {
  unsigned count = 0;
  if (options.cluster > 1) {
    attributes[count].id = cudaLaunchAttributeClusterDimension;
    attributes[count].val.clusterDim.x = options.cluster;
    attributes[count].val.clusterDim.y = attributes[count].val.clusterDim.z = 1;
    ++count;
  }
  if (options.early) {
    attributes[count].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[count].val.programmaticStreamSerializationAllowed = 1;
    ++count;
  }
  return count;
}

void end_launch(const LaunchSite& site, const Stream& stream, cudaError_t status) {
  check(status, site.kernel, site.where);
  check(cudaGetLastError(), site.kernel, site.where);
  if (waits_for_kernels()) check(cudaStreamSynchronize(native(stream)), site.kernel, site.where);
}

}  // namespace dehvf::cuda
