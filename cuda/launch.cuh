// The only way to start a kernel: its arguments are checked while compiling, its status after the launch.
#pragma once

#include <type_traits>

#include <cuda_runtime.h>

#include "cuda/check.h"
#include "cuda/launch_site.h"

namespace dehvf::cuda {

inline constexpr DeviceKind kKernelDevice = DeviceKind::cuda;  // for which the kernels of this build are

void begin_launch(const LaunchSite& site, const Stream& stream);
unsigned set_attributes(const LaunchOptions& options, cudaLaunchAttribute (&attributes)[2]);  // how many
void end_launch(const LaunchSite& site, const Stream& stream, cudaError_t status);

/// Runs `kernel` on the stream's device with `shared` bytes of dynamic shared memory; an empty grid is no
/// work. Throws CudaError. With DEHVF_SYNC=1 it waits, so that a late error names its own kernel.
template <class... Params, class... Args>
void launch(LaunchSite site, dim3 grid, dim3 block, size_t shared, const Stream& stream,
            void (*kernel)(Params...), const Args&... args) {
  static_assert(sizeof...(Params) == sizeof...(Args), "as many arguments as the kernel has parameters");
  static_assert((PassedAs<Params, Args> && ...),
                "each argument as the kernel declares it, without narrowing");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  begin_launch(site, stream);
  if (constexpr size_t kWithoutAsking = 48 << 10; shared > kWithoutAsking)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared)), site.kernel,
          site.where);
  cudaLaunchAttribute attributes[2];
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = native(stream);
  config.attrs = attributes;
  config.numAttrs = set_attributes(site.options, attributes);
  end_launch(site, stream, cudaLaunchKernelEx(&config, kernel, Params{args}...));
}

}  // namespace dehvf::cuda
