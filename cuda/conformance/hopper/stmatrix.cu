// in: the registers of 4 matrices, of which the first are stored; out: the rows in shared memory, where
// nothing was stored all ones.
#include "cuda/conformance/start.cuh"
#include "cuda/ptx/stmatrix.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

struct Rows {
  alignas(16) uint32_t words[32][12];
};

template <int Matrices, bool Transposed>
__device__ void store(void* row, const uint32_t (&registers)[Matrices]) {
  if constexpr (Matrices == 1)
    Transposed ? ptx::stmatrix_x1_trans(row, registers) : ptx::stmatrix_x1(row, registers);
  else if constexpr (Matrices == 2)
    Transposed ? ptx::stmatrix_x2_trans(row, registers) : ptx::stmatrix_x2(row, registers);
  else
    Transposed ? ptx::stmatrix_x4_trans(row, registers) : ptx::stmatrix_x4(row, registers);
}

template <int Matrices, bool Transposed>
__global__ void stmatrix_kernel(const uint32_t* in, uint32_t* out) {
  Rows& rows = shared<Rows>();
  for (int i = 0; i < 4; ++i) rows.words[threadIdx.x][i] = ~0u;
  __syncthreads();
  uint32_t registers[Matrices];
  for (int i = 0; i < Matrices; ++i) registers[i] = in[threadIdx.x * 4 + i];
  store<Matrices, Transposed>(rows.words[threadIdx.x], registers);
  __syncthreads();
  for (int i = 0; i < 4; ++i) out[threadIdx.x * 4 + i] = rows.words[threadIdx.x][i];
}

const Provide<PtxProbe> provide_x1{{kKernelDevice, "stmatrix_x1"}, start_probe<stmatrix_kernel<1, false>>};
const Provide<PtxProbe> provide_x2{{kKernelDevice, "stmatrix_x2"}, start_probe<stmatrix_kernel<2, false>>};
const Provide<PtxProbe> provide_x4{{kKernelDevice, "stmatrix_x4"}, start_probe<stmatrix_kernel<4, false>>};
const Provide<PtxProbe> provide_x1_trans{{kKernelDevice, "stmatrix_x1_trans"},
                                         start_probe<stmatrix_kernel<1, true>>};
const Provide<PtxProbe> provide_x2_trans{{kKernelDevice, "stmatrix_x2_trans"},
                                         start_probe<stmatrix_kernel<2, true>>};
const Provide<PtxProbe> provide_x4_trans{{kKernelDevice, "stmatrix_x4_trans"},
                                         start_probe<stmatrix_kernel<4, true>>};

}  // namespace
}  // namespace dehvf::cuda
