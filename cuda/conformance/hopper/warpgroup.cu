// setmaxnreg: three warpgroups, of which one gives registers to the others; out, the number of each thread.
// grid_dependency: in, a word a lane; out, its triple, by a kernel that starts early and needs the double
// that the kernel in front of it makes.
#include "cuda/conformance/start.cuh"
#include "cuda/ptx/barrier.cuh"
#include "cuda/ptx/grid_dependency.cuh"
#include "cuda/ptx/setmaxnreg.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

constexpr unsigned kThreads = 384;

__global__ void __launch_bounds__(kThreads, 1) setmaxnreg_kernel(const uint32_t*, uint32_t* out) {
  if (threadIdx.x < 128)
    ptx::setmaxnreg_dec<24>();
  else
    ptx::setmaxnreg_inc<240>();
  out[threadIdx.x] = threadIdx.x;
}

struct Word {
  uint32_t word;
};

// Two warps; the first gives a word for each of the second.
__global__ void named_barrier_kernel(const uint32_t* in, uint32_t* out) {
  Word& shared_word = shared<Word>();
  const unsigned lane = threadIdx.x % 32;
  for (unsigned i = 0; i < 32; ++i) {
    if (threadIdx.x < 32) {
      ptx::named_barrier_sync(3, 64);
      if (lane == i) shared_word.word = in[lane];
      ptx::named_barrier_arrive(7, 64);
    } else {
      ptx::named_barrier_arrive(3, 64);
      ptx::named_barrier_sync(7, 64);
      if (lane == i) out[lane] = shared_word.word;
    }
  }
}

__global__ void doubled_kernel(const uint32_t* in, uint32_t* out) {
  ptx::grid_dependency_launch();
  out[threadIdx.x] = 2 * in[threadIdx.x];
}

__global__ void tripled_kernel(const uint32_t* in, uint32_t* out) {
  const uint32_t own = in[threadIdx.x];
  ptx::grid_dependency_wait();
  out[threadIdx.x] += own;
}

void grid_dependency(const Tensor& in, const Tensor& out) {
  const auto* const from = static_cast<const uint32_t*>(in.raw());
  auto* const to = static_cast<uint32_t*>(out.raw());
  const Stream stream = current_stream(in.device());
  launch({"doubled"}, dim3(1), dim3(32), 0, stream, doubled_kernel, from, to);
  launch({"tripled", {.early = true}}, dim3(1), dim3(32), 0, stream, tripled_kernel, from, to);
}

const Provide<PtxProbe> provide_setmaxnreg{{kKernelDevice, "setmaxnreg"},
                                           start_probe<setmaxnreg_kernel, kThreads>};
const Provide<PtxProbe> provide_barrier{{kKernelDevice, "named_barrier"},
                                        start_probe<named_barrier_kernel, 64>};
const Provide<PtxProbe> provide_dependency{{kKernelDevice, "grid_dependency"}, grid_dependency};

}  // namespace
}  // namespace dehvf::cuda
