// Whether the kernels of a build can run on a GPU, from what both say of themselves.
#pragma once

#include <string>
#include <string_view>

namespace dehvf::cuda {

struct GpuFacts {
  int major = 0, minor = 0;  // compute capability
  int driver = 0;            // the newest CUDA it knows, as the runtime counts: 13020 is 13.2
};

struct BuildFacts {
  std::string_view architectures;  // as CMake lists them: "80-real 80-virtual"; a bare 80 is both
  int toolkit = 0;                 // counted alike
};

/// One line on what keeps the build's kernels from running there and what to build or update; empty when they
/// run. Machine code runs on its major number from its minor on, PTX on everything newer if the driver is not
/// older than the toolkit that wrote it; with a suffix (90a, 100f) on that GPU, or its family, alone (CUDA
/// programming guide, compute capabilities). What `native` or `all` stand for is not known here and passes.
std::string unsuited(const GpuFacts& gpu, const BuildFacts& build);

std::string cuda_version(int number);  // 13020 is "13.2", 0 is "none"

}  // namespace dehvf::cuda
