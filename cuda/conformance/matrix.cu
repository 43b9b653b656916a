// in: a row of 8 elements for each lane, which lies in shared memory at 48 bytes a lane; out: the registers.
#include "cuda/conformance/start.cuh"
#include "cuda/ptx/matrix.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

struct Rows {
  alignas(16) uint32_t words[32][12];
};

template <int Matrices, class Load>
__device__ void probe(const uint32_t* in, uint32_t* out, const Load& load) {
  Rows& rows = shared<Rows>();
  for (int i = 0; i < 4; ++i) rows.words[threadIdx.x][i] = in[threadIdx.x * 4 + i];
  __syncthreads();
  uint32_t registers[Matrices];
  load(registers, rows.words[threadIdx.x]);
  for (int i = 0; i < Matrices; ++i) out[threadIdx.x * Matrices + i] = registers[i];
}

template <int Matrices, bool Transposed>
__global__ void ldmatrix_kernel(const uint32_t* in, uint32_t* out) {
  probe<Matrices>(in, out, [](uint32_t(&registers)[Matrices], const void* row) {
    if constexpr (Matrices == 1)
      Transposed ? ptx::ldmatrix_x1_trans(registers, row) : ptx::ldmatrix_x1(registers, row);
    else if constexpr (Matrices == 2)
      Transposed ? ptx::ldmatrix_x2_trans(registers, row) : ptx::ldmatrix_x2(registers, row);
    else
      Transposed ? ptx::ldmatrix_x4_trans(registers, row) : ptx::ldmatrix_x4(registers, row);
  });
}

const Provide<PtxProbe> provide_x1{{kKernelDevice, "ldmatrix_x1"}, start_probe<ldmatrix_kernel<1, false>>};
const Provide<PtxProbe> provide_x2{{kKernelDevice, "ldmatrix_x2"}, start_probe<ldmatrix_kernel<2, false>>};
const Provide<PtxProbe> provide_x4{{kKernelDevice, "ldmatrix_x4"}, start_probe<ldmatrix_kernel<4, false>>};
const Provide<PtxProbe> provide_x1_trans{{kKernelDevice, "ldmatrix_x1_trans"},
                                         start_probe<ldmatrix_kernel<1, true>>};
const Provide<PtxProbe> provide_x2_trans{{kKernelDevice, "ldmatrix_x2_trans"},
                                         start_probe<ldmatrix_kernel<2, true>>};
const Provide<PtxProbe> provide_x4_trans{{kKernelDevice, "ldmatrix_x4_trans"},
                                         start_probe<ldmatrix_kernel<4, true>>};

}  // namespace
}  // namespace dehvf::cuda
