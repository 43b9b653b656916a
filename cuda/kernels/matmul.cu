// c = alpha a b (+ c) on the tensor cores: 16-bit operands, sums in f32, one rounding.
//
// A block owns 128 x 128 elements of c and goes along k in steps of 32 through a ring of tiles that
// asynchronous copies keep filled. Its 8 warps own 64 x 32 elements each, as 4 x 4 products of 16 x 8.
// Operands stay in the order they have in memory: 'by k' means that k runs along a row (a as it is, b
// transposed), else ldmatrix transposes on the way.
//
// Where c has too few tiles for the machine, several blocks share a tile of c and each takes a part of k; the
// parts are added by a second kernel in their order. How many there are depends on the sizes only.
#include "cuda/element.cuh"
#include "cuda/kernels/matmul.h"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"
#include "cuda/ptx/mma.cuh"
#include "cuda/shared.cuh"
#include "cuda/tile.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kSide = 128, kStep = 32, kStages = 4, kThreads = 256;
constexpr int kWarpRows = 64, kWarpColumns = 32, kWarpsAcross = kSide / kWarpColumns;

// One operand's tile: its rows run along m (or n) and hold k, or the other way round.
template <class T, bool by_k>
using OperandTile = Tile<T, by_k ? kSide : kStep, by_k ? kStep : kSide>;

template <class T, bool a_by_k, bool b_by_k>
struct Ring {
  OperandTile<T, a_by_k> a[kStages];
  OperandTile<T, b_by_k> b[kStages];
};

template <class T, bool by_k>
__device__ void copy_operand(const MatrixView<T>& from, int64_t side, int64_t k, OperandTile<T, by_k>& to) {
  copy_tile<kThreads>(from, by_k ? side : k, by_k ? k : side, to);
}

struct WarpSums {
  float of[4][4][4];  // 16 x 8 products down and across, their registers
};

template <class T, bool a_by_k, bool b_by_k>
__device__ void multiply_stage(const OperandTile<T, a_by_k>& a, const OperandTile<T, b_by_k>& b,
                               WarpSums& sums) {
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const int row = warp / kWarpsAcross * kWarpRows, column = warp % kWarpsAcross * kWarpColumns;
#pragma unroll
  for (int depth = 0; depth < kStep; depth += 16) {
    uint32_t left[4][4], right[2][4];
#pragma unroll
    for (int i = 0; i < 4; ++i) load_a<a_by_k>(left[i], a, row + 16 * i, depth, lane);
#pragma unroll
    for (int j = 0; j < 2; ++j) load_b<b_by_k>(right[j], b, column + 16 * j, depth, lane);
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j)
        ptx::mma_m16n8k16<T>(sums.of[i][j], left[i], {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]});
  }
}

struct Sizes {
  int64_t m, n, k, k_part;  // k_part: of one block, a multiple of kStep
  int parts;
};

// What a block does with its sums: out = alpha sum (+ out), or the sum of a part of k for later.
template <class C>
struct Output {
  C* data;
  float alpha;
  bool accumulate;
  __device__ void store(int64_t at, float sum) const {
    data[at] = rounded<C>(accumulate ? widened(data[at]) + alpha * sum : alpha * sum);
  }
};

template <class T, bool a_by_k, bool b_by_k, class C>
__global__ void __launch_bounds__(kThreads, 2)
    matmul_kernel(MatrixView<T> a, MatrixView<T> b, int64_t a_batch, int64_t b_batch, Output<C> out,
                  Sizes n) {
  const int64_t row = int64_t(blockIdx.y) * kSide, column = int64_t(blockIdx.x) * kSide;
  const int64_t batch = blockIdx.z / n.parts, part = blockIdx.z % n.parts;
  const int64_t k_begin = part * n.k_part, k_end = k_begin + n.k_part < n.k ? k_begin + n.k_part : n.k;
  a.data += batch * a_batch;
  b.data += batch * b_batch;
  auto& ring = *dynamic_shared<Ring<T, a_by_k, b_by_k>>();
  const int steps = int((k_end - k_begin + kStep - 1) / kStep);
  const auto fetch = [&](int step) {
    if (step < steps) {
      const int64_t k = k_begin + int64_t(step) * kStep;
      copy_operand<T, a_by_k>(a, row, k, ring.a[step % kStages]);
      copy_operand<T, b_by_k>(b, column, k, ring.b[step % kStages]);
    }
    ptx::cp_async_commit();  // empty groups keep the count
  };
  for (int step = 0; step < kStages - 1; ++step) fetch(step);
  WarpSums sums{};
  for (int step = 0; step < steps; ++step) {
    ptx::cp_async_wait<kStages - 2>();
    __syncthreads();  // this step's tiles are there for all, those of the last one are free
    fetch(step + kStages - 1);
    multiply_stage<T, a_by_k, b_by_k>(ring.a[step % kStages], ring.b[step % kStages], sums);
  }
  ptx::cp_async_wait<0>();
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const int64_t first_row = row + warp / kWarpsAcross * kWarpRows + lane / 4;
  const int64_t first_column = column + warp % kWarpsAcross * kWarpColumns + lane % 4 * 2;
  const int64_t base = int64_t(blockIdx.z) * n.m;  // a part is a matrix of its own
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int64_t r = first_row + 16 * i + e / 2 * 8, s = first_column + 8 * j + e % 2;
        if (r < n.m && s < n.n) out.store((base + r) * n.n + s, sums.of[i][j][e]);
      }
}

// out = alpha (the sum of the parts in their order) (+ out), for each batch
template <class C>
__global__ void matmul_sum_parts_kernel(const float* parts, int count, int64_t per_batch, int64_t all,
                                        Output<C> out) {
  const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= all) return;
  const float* const from = parts + at / per_batch * per_batch * count + at % per_batch;
  float sum = 0;
  for (int part = 0; part < count; ++part) sum += from[part * per_batch];
  out.store(at, sum);
}

int64_t tiles_along(int64_t size) { return (size + kSide - 1) / kSide; }

// Parts of k: as many as fill about 128 multiprocessors, none below 256 long.
Sizes sizes_of(int64_t m, int64_t n, int64_t k, int64_t batch) {
  constexpr int64_t kBlocks = 128, kShortest = 256, kMost = 16;
  const int64_t tiles = std::max<int64_t>(1, tiles_along(m) * tiles_along(n) * batch);
  const int64_t parts = std::clamp<int64_t>(std::min(kBlocks / tiles, k / kShortest), 1, kMost);
  const int64_t k_part = (k / parts + kStep - 1) / kStep * kStep;
  return {m, n, k, std::max<int64_t>(k_part, kStep), int(k_part > 0 ? (k + k_part - 1) / k_part : 1)};
}

template <class T>
MatrixView<T> view_of(const Tensor& x) {
  return {static_cast<const T*>(x.raw()), x.size(-2), x.size(-1), x.size(-1)};
}

template <class T, bool a_by_k, bool b_by_k, class C>
void matmul_as(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  const int64_t batch = c.shape().rank() == 3 ? c.size(0) : 1;
  const Sizes n = sizes_of(c.size(-2), c.size(-1), a.size(options.transpose_a ? -2 : -1), batch);
  const Output<C> out{static_cast<C*>(c.raw()), float(options.alpha), options.accumulate};
  const Stream stream = current_stream(c.device());
  const dim3 grid(unsigned(tiles_along(n.n)), unsigned(tiles_along(n.m)), unsigned(batch * n.parts));
  const auto multiply = [&]<class Out>(const Output<Out>& into) {
    launch({"matmul"}, grid, dim3(kThreads), sizeof(Ring<T, a_by_k, b_by_k>), stream,
           matmul_kernel<T, a_by_k, b_by_k, Out>, view_of<T>(a), view_of<T>(b), a.size(-2) * a.size(-1),
           b.size(-2) * b.size(-1), into, n);
  };
  if (n.parts == 1) return multiply(out);
  const Tensor parts({batch * n.parts, n.m, n.n}, DType::f32, c.device());
  multiply(Output<float>{parts.data<float>(), 1, false});
  constexpr int kSumThreads = 256;
  launch({"matmul_sum_parts"}, dim3(unsigned((c.count() + kSumThreads - 1) / kSumThreads)), dim3(kSumThreads),
         0, stream, matmul_sum_parts_kernel<C>, parts.data<float>(), n.parts, n.m * n.n, c.count(), out);
}

template <class T, class C>
void matmul_in_order(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  if (options.transpose_a)
    options.transpose_b ? matmul_as<T, false, true, C>(a, b, c, options)
                        : matmul_as<T, false, false, C>(a, b, c, options);
  else
    options.transpose_b ? matmul_as<T, true, true, C>(a, b, c, options)
                        : matmul_as<T, true, false, C>(a, b, c, options);
}

// Copies of 16 bytes: every row begins at a multiple of them.
bool aligned(const Tensor& x) {
  return reinterpret_cast<uintptr_t>(x.raw()) % 16 == 0 && x.size(-1) * int64_t(size_of(x.dtype())) % 16 == 0;
}

template <class T>
void matmul_16_bits(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  if (c.dtype() == DType::f32)
    matmul_in_order<T, float>(a, b, c, options);
  else
    matmul_in_order<T, T>(a, b, c, options);
}

void matmul(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  const DType dtype = a.dtype();
  const bool fits =
      b.dtype() == dtype && (c.dtype() == dtype || c.dtype() == DType::f32) && aligned(a) && aligned(b);
  if (fits && dtype == DType::bf16) return matmul_16_bits<__nv_bfloat16>(a, b, c, options);
  if (fits && dtype == DType::f16) return matmul_16_bits<__half>(a, b, c, options);
  matmul_tiled(a, b, c, options);
}

const Provide<Matmul> provide_matmul{{kKernelDevice}, matmul};

}  // namespace
}  // namespace dehvf::cuda
