// Phases and kernels as ranges of NVTX, which costs nothing while no profiler listens.
#include <nvtx3/nvToolsExt.h>

#include "core/phase.h"

namespace dehvf::cuda {
namespace {

void push(std::string_view name) { nvtxRangePushA(std::string(name).c_str()); }
void pop() { nvtxRangePop(); }

const Provide<RangeHook> nvtx{"nvtx", {push, pop}};

}  // namespace
}  // namespace dehvf::cuda
