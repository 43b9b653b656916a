// c = alpha (a_1 b_1 + a_2 b_2 + ...) (+ c) on the tensor cores: 16-bit operands, sums in f32, one rounding;
// several such outputs beside each other. A plain product is one output of one term.
//
// A block owns 128 x 128 elements of c and goes along k in steps of 32 through a ring of tiles that
// asynchronous copies keep filled. Its 8 warps own 64 x 32 elements each, as 4 x 4 products of 16 x 8.
// Operands stay in the order they have in memory: 'by k' means that k runs along a row (a as it is, b
// transposed), else ldmatrix transposes on the way.
//
// Where c has too few tiles for the machine, several blocks share a tile of c and each takes a part of k; the
// parts are added by a second kernel in their order. How many there are depends on the sizes only.
#include "core/ops/product.h"
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

// The first `kDown` products of 16 rows of the warp's four.
template <int kDown, class T, bool a_by_k, bool b_by_k>
__device__ void multiply_rows(const OperandTile<T, a_by_k>& a, const OperandTile<T, b_by_k>& b,
                              WarpSums& sums) {
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const int row = warp / kWarpsAcross * kWarpRows, column = warp % kWarpsAcross * kWarpColumns;
#pragma unroll
  for (int depth = 0; depth < kStep; depth += 16) {
    uint32_t left[kDown][4], right[2][4];
#pragma unroll
    for (int i = 0; i < kDown; ++i) load_a<a_by_k>(left[i], a, row + 16 * i, depth, lane);
#pragma unroll
    for (int j = 0; j < 2; ++j) load_b<b_by_k>(right[j], b, column + 16 * j, depth, lane);
#pragma unroll
    for (int i = 0; i < kDown; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j)
        ptx::mma_m16n8k16<T>(sums.of[i][j], left[i], {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]});
  }
}

// Of a warp with few rows of c, or none, there is less to do.
template <class T, bool a_by_k, bool b_by_k>
__device__ void multiply_stage(const OperandTile<T, a_by_k>& a, const OperandTile<T, b_by_k>& b, int rows,
                               WarpSums& sums) {
  if (rows > 16)
    multiply_rows<4, T, a_by_k, b_by_k>(a, b, sums);
  else if (rows > 0)
    multiply_rows<1, T, a_by_k, b_by_k>(a, b, sums);
}

// What a block does with its sums: out = alpha sum (+ out), or the sum of a part of k for later.
template <class C>
struct Output {
  C* data;
  float alpha;
  bool accumulate;
  __device__ void store(int64_t at, float sum) const {
    data[at] = rounded<C>(accumulate ? widened(data[at]) + alpha * sum : alpha * sum);
  }
  __device__ void store(int64_t at, float left, float right) const {  // where `at` is even, and all of n
    left *= alpha, right *= alpha;
    if (accumulate) {
      const Pack<C, 2> old = load<2>(data + at);
      left += widened(old.items[0]), right += widened(old.items[1]);
    }
    dehvf::cuda::store(data + at, Pack<C, 2>{rounded<C>(left), rounded<C>(right)});
  }
};

constexpr int kTerms = 4, kSegments = 4;  // the most along k, along n

constexpr int64_t tiles_along(int64_t size) { return (size + kSide - 1) / kSide; }

// Of the terms of one output.
template <class T, class C>
struct Segment {
  MatrixView<T> a[kTerms], b[kTerms];
  unsigned steps[kTerms], all_steps;
  int terms;
  int64_t n;
  bool pairs;  // two neighbours can be stored at once
  Output<C> out;
};

template <class T, class C>
struct Plan {
  Segment<T, C> segments[kSegments];
  int count;
  int64_t m, batch, a_batch, b_batch;
  int parts;
};

template <class T, bool a_by_k, bool b_by_k, class C>
__global__ void __launch_bounds__(kThreads, 2) matmul_kernel(const __grid_constant__ Plan<T, C> plan) {
  int tile = int(blockIdx.y), which = 0;  // blocks below each other run together and read one b
  while (tile >= tiles_along(plan.segments[which].n)) tile -= int(tiles_along(plan.segments[which++].n));
  const Segment<T, C>& segment = plan.segments[which];
  const int row = int(blockIdx.x) * kSide, column = tile * kSide;
  const int batch = int(blockIdx.z) / plan.parts, part = int(blockIdx.z) % plan.parts;
  auto& ring = *dynamic_shared<Ring<T, a_by_k, b_by_k>>();
  const unsigned first = uint64_t(segment.all_steps) * part / plan.parts;
  const unsigned steps = uint64_t(segment.all_steps) * (part + 1) / plan.parts - first;
  int term = 0;
  unsigned before = 0;  // steps of the terms before `term`
  const auto fetch = [&](unsigned step) {
    if (step < steps) {
      while (first + step - before >= segment.steps[term]) before += segment.steps[term++];
      const int k = int(first + step - before) * kStep;
      MatrixView<T> a = segment.a[term], b = segment.b[term];
      a.data += batch * plan.a_batch;
      b.data += batch * plan.b_batch;
      copy_operand<T, a_by_k>(a, row, k, ring.a[step % kStages]);
      copy_operand<T, b_by_k>(b, column, k, ring.b[step % kStages]);
    }
    ptx::cp_async_commit();  // empty groups keep the count
  };
  for (unsigned step = 0; step < kStages - 1; ++step) fetch(step);
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const int warp_row = row + warp / kWarpsAcross * kWarpRows;
  const int warp_column = column + warp % kWarpsAcross * kWarpColumns;
  const int rows = warp_column < segment.n ? int(plan.m) - warp_row : 0;
  WarpSums sums{};
  for (unsigned step = 0; step < steps; ++step) {
    ptx::cp_async_wait<kStages - 2>();
    __syncthreads();  // this step's tiles are there for all, those of the last one are free
    fetch(step + kStages - 1);
    multiply_stage<T, a_by_k, b_by_k>(ring.a[step % kStages], ring.b[step % kStages], rows, sums);
  }
  ptx::cp_async_wait<0>();
  const int64_t base = int64_t(blockIdx.z) * plan.m;  // a part is a matrix of its own
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int64_t r = warp_row + lane / 4 + 16 * i + 8 * half, s = warp_column + lane % 4 * 2 + 8 * j;
        if (r >= plan.m || s >= segment.n) continue;
        const int64_t at = (base + r) * segment.n + s;
        const float left = sums.of[i][j][2 * half], right = sums.of[i][j][2 * half + 1];
        if (segment.pairs) {
          segment.out.store(at, left, right);
        } else {
          segment.out.store(at, left);
          if (s + 1 < segment.n) segment.out.store(at + 1, right);
        }
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

// Parts of k: as many as fill about 128 multiprocessors, none below 256 long.
int parts_of(int64_t tiles, int64_t steps) {
  constexpr int64_t kBlocks = 128, kShortest = 256 / kStep, kMost = 16;
  return int(
      std::clamp<int64_t>(std::min(kBlocks / std::max<int64_t>(1, tiles), steps / kShortest), 1, kMost));
}

template <class T>
MatrixView<T> view_of(const Tensor& x) {
  return {static_cast<const T*>(x.raw()), x.size(-2), x.size(-1), x.size(-1)};
}

template <class T, class C>
void lead_to(Segment<T, C>& segment, int64_t n, const Output<C>& out) {
  segment.n = n;
  segment.pairs = n % 2 == 0 && aligned_for<2>(out.data);
  segment.out = out;
}

template <class T, class C>
void add_term(Segment<T, C>& segment, const Tensor& a, const Tensor& b, int64_t k) {
  if (k == 0) return;
  segment.a[segment.terms] = view_of<T>(a);
  segment.b[segment.terms] = view_of<T>(b);
  segment.steps[segment.terms++] = unsigned((k + kStep - 1) / kStep);
  segment.all_steps += unsigned((k + kStep - 1) / kStep);
}

template <class T, bool a_by_k, bool b_by_k, class C>
void start_in_order(const Plan<T, C>& plan, const Stream& stream) {
  int64_t tiles = 0;
  for (int i = 0; i < plan.count; ++i) tiles += tiles_along(plan.segments[i].n);
  launch({"matmul"}, dim3(unsigned(tiles_along(plan.m)), unsigned(tiles), unsigned(plan.batch * plan.parts)),
         dim3(kThreads), sizeof(Ring<T, a_by_k, b_by_k>), stream, matmul_kernel<T, a_by_k, b_by_k, C>, plan);
}

template <class T, class C>
void start(const Plan<T, C>& plan, bool transpose_a, bool transpose_b, const Stream& stream) {
  if (transpose_a)
    transpose_b ? start_in_order<T, false, true>(plan, stream)
                : start_in_order<T, false, false>(plan, stream);
  else
    transpose_b ? start_in_order<T, true, true>(plan, stream) : start_in_order<T, true, false>(plan, stream);
}

template <class T, class C>
void matmul_as(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  const int64_t m = c.size(-2), n = c.size(-1), batch = c.shape().rank() == 3 ? c.size(0) : 1;
  const Output<C> out{static_cast<C*>(c.raw()), float(options.alpha), options.accumulate};
  const Stream stream = current_stream(c.device());
  const auto multiply = [&]<class Out>(const Output<Out>& into, int wanted_parts) {
    Plan<T, Out> plan{};
    plan.count = 1;
    plan.m = m;
    plan.batch = batch;
    plan.a_batch = a.size(-2) * a.size(-1);
    plan.b_batch = b.size(-2) * b.size(-1);
    plan.parts = wanted_parts;
    lead_to(plan.segments[0], n, into);
    add_term(plan.segments[0], a, b, a.size(options.transpose_a ? -2 : -1));
    start(plan, options.transpose_a, options.transpose_b, stream);
  };
  const int64_t steps = (a.size(options.transpose_a ? -2 : -1) + kStep - 1) / kStep;
  const int count = parts_of(tiles_along(m) * tiles_along(n) * batch, steps);
  if (count == 1) return multiply(out, 1);
  const Tensor parts({batch * count, m, n}, DType::f32, c.device());
  multiply(Output<float>{parts.data<float>(), 1, false}, count);
  constexpr int kSumThreads = 256;
  launch({"matmul_sum_parts"}, dim3(unsigned((c.count() + kSumThreads - 1) / kSumThreads)), dim3(kSumThreads),
         0, stream, matmul_sum_parts_kernel<C>, parts.data<float>(), count, m * n, c.count(), out);
}

// Copies of 16 bytes: every row begins at a multiple of them.
bool aligned(const Tensor& x) {
  return reinterpret_cast<uintptr_t>(x.raw()) % 16 == 0 && x.size(-1) * int64_t(size_of(x.dtype())) % 16 == 0;
}

bool fits(const Tensor& a, const Tensor& b, const Tensor& c) {
  const DType dtype = a.dtype();
  return (dtype == DType::bf16 || dtype == DType::f16) && b.dtype() == dtype &&
         (c.dtype() == dtype || c.dtype() == DType::f32) && aligned(a) && aligned(b);
}

// fn.template operator()<T, C>() for operands of T and a result of C, which fit.
template <class Fn>
void visit_pair(DType operands, DType result, const Fn& fn) {
  const auto with = [&]<class T>() {
    result == DType::f32 ? fn.template operator()<T, float>() : fn.template operator()<T, T>();
  };
  operands == DType::bf16 ? with.template operator()<__nv_bfloat16>() : with.template operator()<__half>();
}

void matmul(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  if (!fits(a, b, c)) return matmul_tiled(a, b, c, options);
  visit_pair(a.dtype(), c.dtype(), [&]<class T, class C>() { matmul_as<T, C>(a, b, c, options); });
}

bool fits(std::span<const ProductOutput> outputs) {
  const DType operands = outputs[0].terms[0].a.dtype(), result = outputs[0].c.dtype();
  if (outputs.size() > kSegments) return false;
  for (const auto& [terms, c] : outputs) {
    if (terms.size() > kTerms || c.dtype() != result) return false;
    for (const auto& [a, b] : terms)
      if (a.dtype() != operands || !fits(a, b, c)) return false;
  }
  return true;
}

// One launch, where all is of one dtype and aligned; never in parts along k.
void product(std::span<const ProductOutput> outputs, bool transpose_b) {
  if (!fits(outputs)) return product_by_terms(outputs, transpose_b);
  const Tensor& first = outputs[0].c;
  visit_pair(outputs[0].terms[0].a.dtype(), first.dtype(), [&]<class T, class C>() {
    Plan<T, C> plan{};
    plan.m = first.size(0);
    plan.batch = plan.parts = 1;
    for (const auto& [terms, c] : outputs) {
      Segment<T, C>& segment = plan.segments[plan.count++];
      lead_to(segment, c.size(1), Output<C>{static_cast<C*>(c.raw()), 1, false});
      for (const auto& [a, b] : terms) add_term(segment, a, b, a.size(1));
    }
    start(plan, false, transpose_b, current_stream(first.device()));
  });
  if (Trace* trace = Trace::current())
    for (const auto& [terms, c] : outputs)
      for (const auto& [a, b] : terms)
        trace->add_product(Product::name, {1, c.size(0), c.size(1), a.size(1)});
}

const Provide<Matmul> provide_matmul{{kKernelDevice}, matmul};
const Provide<Product> provide_product{{kKernelDevice}, product};

}  // namespace
}  // namespace dehvf::cuda
