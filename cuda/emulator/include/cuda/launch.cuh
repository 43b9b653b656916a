// Stands in for cuda/launch.cuh: kernels run at once, on the emulated device.
#pragma once

#include <tuple>

#include "core/backend.h"
#include "core/kernel.h"
#include "cuda/emulator/device.h"
#include "cuda/emulator/grid.h"
#include "cuda/emulator/recorder.h"
#include "cuda/launch_site.h"

namespace dehvf::cuda {

inline constexpr DeviceKind kKernelDevice = DeviceKind::emulator;

/// As on the GPU, but over when it returns, unless the stream records. Throws simt::KernelFault.
template <class... Params, class... Args>
void launch(LaunchSite site, dim3 grid, dim3 block, size_t shared, const Stream& stream,
            void (*kernel)(Params...), const Args&... args) {
  static_assert(sizeof...(Params) == sizeof...(Args), "as many arguments as the kernel has parameters");
  static_assert((PassedAs<Params, Args> && ...),
                "each argument as the kernel declares it, without narrowing");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  if (Trace* trace = Trace::current()) ++trace->launches;
  simt::queue(stream, [=, parameters = std::tuple<Params...>{Params{args}...}] {
    simt::run_grid({site.kernel, site.where, grid, block, shared, site.options.cluster},
                   [&] { std::apply(kernel, parameters); });
  });
}

}  // namespace dehvf::cuda
