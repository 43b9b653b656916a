// c = f(alpha (a_1 b_1 + a_2 b_2 + ...)) on the tensor cores: 16-bit operands, sums in f32, one rounding;
// several such outputs beside each other. f is the output's epilogue. A plain product is one output of one
// term.
//
// A block owns 128 x 128 elements of c and goes along k in steps of 32 through a ring of tiles that
// asynchronous copies keep filled. Its 8 warps own 64 x 32 elements each, as 4 x 4 products of 16 x 8.
// Operands stay in the order they have in memory: 'by k' means that k runs along a row (a as it is, b
// transposed), else ldmatrix transposes on the way. At the end the sums take the place of the tiles in shared
// memory, from where threads side by side do the epilogue of columns side by side, 8 at a time.
//
// Where c has too few tiles for the machine, several blocks share a tile of c and each takes a part of k; the
// parts are added by a second kernel in their order, which also does the epilogue. How many there are depends
// on the sizes only.
#include "cuda/kernels/epilogue.cuh"
#include "cuda/kernels/matmul.h"
#include "cuda/launch.cuh"
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

template <int kBytes, class T, bool by_k>
__device__ void copy_operand(const MatrixView<T>& from, int64_t side, int64_t k, OperandTile<T, by_k>& to) {
  copy_tile<kThreads, kBytes>(from, by_k ? side : k, by_k ? k : side, to);
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
    uint32_t right[2][4];
#pragma unroll
    for (int j = 0; j < 2; ++j) load_b<b_by_k>(right[j], b, column + 16 * j, depth, lane);
#pragma unroll
    for (int i = 0; i < kDown; ++i) {
      uint32_t left[4];
      load_a<a_by_k>(left, a, row + 16 * i, depth, lane);
#pragma unroll
      for (int j = 0; j < 4; ++j)
        ptx::mma_m16n8k16<T>(sums.of[i][j], left, {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]});
    }
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

// The block's sums in shared memory; the place of 8 columns depends on the row, so that the rows of a
// fragment lie in different banks.
struct SumTile {
  alignas(16) float items[kSide * kSide];
  __device__ float* at(int row, int column) {
    return items + row * kSide + (column / 8 ^ row % 4) * 8 + column % 8;
  }
};

__device__ void put(const WarpSums& sums, int rows, SumTile& to) {
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const int row = warp / kWarpsAcross * kWarpRows + lane / 4;
  const int column = warp % kWarpsAcross * kWarpColumns + lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (16 * i < rows)
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        store(to.at(row + 16 * i, column + 8 * j), Pack<float, 2>{sums.of[i][j][0], sums.of[i][j][1]});
        store(to.at(row + 16 * i + 8, column + 8 * j), Pack<float, 2>{sums.of[i][j][2], sums.of[i][j][3]});
      }
}

constexpr int kTerms = 6, kSegments = 4;  // the most along k: q, k and v with LoRA; along n
constexpr int kAtOnce = 8;                // columns that a thread stores

// Of the terms of one output. A gated one's tile of b holds 16 columns of b and the same 16 of its factor's
// in turns, so that a warp makes both of what is multiplied.
template <class T, class C>
struct Segment {
  MatrixView<T> a[kTerms], b[kTerms];
  const T* times[kTerms];  // like b
  unsigned steps[kTerms], all_steps;
  int terms;
  int64_t n;
  bool packs;  // kAtOnce neighbours can be stored at once
  OutputView<C> out;
  __host__ __device__ int columns() const { return out.gated ? kSide / 2 : kSide; }  // of c in a tile
  __host__ __device__ int tiles() const { return int((n + columns() - 1) / columns()); }
};
constexpr int kTurn = 16;

template <class T, class C>
struct Plan {
  Segment<T, C> segments[kSegments];
  int count;
  int64_t m, batch, a_batch, b_batch;
  int parts;
  bool wide;  // operands can be copied by 16 bytes, else by 8
};

// The order in which a layer has its operands; pairs in others would take registers and nobody needs them.
template <bool a_by_k, bool b_by_k>
inline constexpr bool kPairs = a_by_k&& b_by_k;

template <int kBytes, class T, int kRow>
__device__ void copy_pair(MatrixView<T> b, const T* times, int64_t column, int64_t k,
                          Tile<T, kSide, kRow>& to) {
  const T* const first = b.data;
  for_chunks<kThreads>(to, [&](int row, int chunk) {
    b.data = row / kTurn % 2 == 0 ? first : times;
    copy_chunk<kBytes>(b, column + row / (2 * kTurn) * kTurn + row % kTurn, k + chunk * kChunk,
                       to.at(row, chunk));
  });
}

// The epilogue of the block's tile, whose first row is `first` of all rows of c and has `rows` of them.
template <class T, class C>
__device__ void finish_tile(const Segment<T, C>& segment, SumTile& sums, int64_t first, int rows,
                            int64_t column) {
  const OutputView<C>& out = segment.out;
  const int packs = segment.columns() / kAtOnce;
#pragma unroll 1
  for (int i = int(threadIdx.x); i < rows * packs; i += kThreads) {
    const int r = i / packs, s = i % packs * kAtOnce,
              held = out.gated ? s / kTurn * 2 * kTurn + s % kTurn : s;
    const int64_t at = (first + r) * segment.n + column + s, left = segment.n - column - s;
    if (left > 0 && segment.packs) {
      auto sum = load<kAtOnce>(sums.at(r, held));
      Pack<float, kAtOnce> times{};
      if (out.gated) times = load<kAtOnce>(sums.at(r, held + kTurn));
      out.store(column + s, at, sum.items, times.items);
    } else {
#pragma unroll 1
      for (int e = 0; e < kAtOnce && e < left; ++e) {
        float sum[1] = {*sums.at(r, held + e)}, times[1] = {};
        if (out.gated) times[0] = *sums.at(r, held + kTurn + e);
        out.store(column + s + e, at + e, sum, times);
      }
    }
  }
}

// Copies of 8 bytes need more registers than two blocks have.
template <class T, int kBytes, bool a_by_k, bool b_by_k, class C>
__global__ void __launch_bounds__(kThreads, kBytes == 16 ? 2 : 1)
    matmul_kernel(const __grid_constant__ Plan<T, C> plan) {
  int tile = int(blockIdx.y), which = 0;  // blocks below each other run together and read one b
  while (tile >= plan.segments[which].tiles()) tile -= plan.segments[which++].tiles();
  const Segment<T, C>& segment = plan.segments[which];
  const bool pair = kPairs<a_by_k, b_by_k> && segment.out.gated;
  const int columns = pair ? kSide / 2 : kSide;
  const int row = int(blockIdx.x) * kSide, column = tile * columns;
  const int batch = int(blockIdx.z) / plan.parts, part = int(blockIdx.z) % plan.parts;
  auto& ring = *dynamic_shared<Ring<T, a_by_k, b_by_k>>();
  unsigned in_term = uint64_t(segment.all_steps) * part / plan.parts;  // the next step, of those of `term`
  const unsigned steps = uint64_t(segment.all_steps) * (part + 1) / plan.parts - in_term;
  int term = 0;
  const auto fetch = [&](unsigned step) {
    if (step < steps) {
      while (in_term >= segment.steps[term]) in_term -= segment.steps[term++];
      const int k = int(in_term++) * kStep;
      MatrixView<T> a = segment.a[term], b = segment.b[term];
      a.data += batch * plan.a_batch;
      b.data += batch * plan.b_batch;
      copy_operand<kBytes, T, a_by_k>(a, row, k, ring.a[step % kStages]);
      if constexpr (kPairs<a_by_k, b_by_k>)
        if (pair) copy_pair<kBytes>(b, segment.times[term], column, k, ring.b[step % kStages]);
      if (!pair) copy_operand<kBytes, T, b_by_k>(b, column, k, ring.b[step % kStages]);
    }
    ptx::cp_async_commit();  // empty groups keep the count
  };
  for (unsigned step = 0; step < kStages - 1; ++step) fetch(step);
  const int warp = int(threadIdx.x) / 32;
  const bool any = column + warp % kWarpsAcross * columns / kWarpsAcross < segment.n;
  const int rows = any ? int(plan.m) - row - warp / kWarpsAcross * kWarpRows : 0;  // of this warp
  WarpSums sums{};
  for (unsigned step = 0; step < steps; ++step) {
    ptx::cp_async_wait<kStages - 2>();
    __syncthreads();  // this step's tiles are there for all, those of the last one are free
    fetch(step + kStages - 1);
    multiply_stage<T, a_by_k, b_by_k>(ring.a[step % kStages], ring.b[step % kStages], rows, sums);
  }
  ptx::cp_async_wait<0>();
  __syncthreads();  // all have read their last tiles
  static_assert(sizeof(SumTile) <= sizeof(ring));
  auto& staged = *dynamic_shared<SumTile>();
  put(sums, rows, staged);
  __syncthreads();
  const int left = int(plan.m) - row;
  // A part is a matrix of its own.
  finish_tile(segment, staged, int64_t(blockIdx.z) * plan.m + row, left < kSide ? left : kSide, column);
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

// Whether every row begins at a multiple of so many bytes.
bool aligned(const Tensor& x, uintptr_t bytes) {
  return reinterpret_cast<uintptr_t>(x.raw()) % bytes == 0 && x.size(-1) * size_of(x.dtype()) % bytes == 0;
}

// What one call computes: outputs of the same m, perhaps a batch of each.
struct Job {
  std::span<const ProductOutput> outputs;
  ProductOrder order;
  float alpha = 1;
};

unsigned steps_of(const ProductTerm& term, bool transpose_a) {
  return unsigned((term.a.size(transpose_a ? -2 : -1) + kStep - 1) / kStep);
}

template <class T, class C>
void add_segment(Plan<T, C>& plan, const Job& job, int64_t n, const std::vector<ProductTerm>& terms,
                 const std::vector<ProductTerm>& times, const OutputView<C>& out) {
  Segment<T, C>& segment = plan.segments[plan.count++];
  segment.n = n;
  segment.packs = out.template in_packs<kAtOnce>(n);
  segment.out = out;
  for (size_t i = 0; i < terms.size(); ++i) {
    const unsigned steps = steps_of(terms[i], job.order.transpose_a);
    if (steps == 0) continue;
    segment.a[segment.terms] = view_of<T>(terms[i].a);
    segment.b[segment.terms] = view_of<T>(terms[i].b);
    if (out.gated) segment.times[segment.terms] = static_cast<const T*>(times[i].b.raw());
    segment.steps[segment.terms++] = steps;
    segment.all_steps += steps;
  }
}

template <class T, class C>
Plan<T, C> plan_of(const Job& job, int parts) {
  const auto& [a, b] = job.outputs[0].terms[0];
  Plan<T, C> plan{};
  plan.m = job.outputs[0].c.size(-2);
  plan.batch = a.shape().rank() == 3 ? a.size(0) : 1;
  plan.a_batch = a.size(-2) * a.size(-1);
  plan.b_batch = b.size(-2) * b.size(-1);
  plan.parts = parts;
  plan.wide = std::ranges::all_of(job.outputs, [](const ProductOutput& output) {
    const auto wide = [](const ProductTerm& term) { return aligned(term.a, 16) && aligned(term.b, 16); };
    return std::ranges::all_of(output.terms, wide) && std::ranges::all_of(output.epilogue.times, wide);
  });
  return plan;
}

template <class T, bool a_by_k, bool b_by_k, class C>
void start_in_order(const Plan<T, C>& plan, const Stream& stream) {
  int tiles = 0;
  for (int i = 0; i < plan.count; ++i) tiles += plan.segments[i].tiles();
  const auto kernel =
      plan.wide ? matmul_kernel<T, 16, a_by_k, b_by_k, C> : matmul_kernel<T, 8, a_by_k, b_by_k, C>;
  launch({"matmul"},
         dim3(unsigned((plan.m + kSide - 1) / kSide), unsigned(tiles), unsigned(plan.batch * plan.parts)),
         dim3(kThreads), sizeof(Ring<T, a_by_k, b_by_k>), stream, kernel, plan);
}

template <class T, class C>
void start(const Plan<T, C>& plan, const Job& job) {
  const Stream stream = current_stream(job.outputs[0].c.device());
  if (job.order.transpose_a)
    job.order.transpose_b ? start_in_order<T, false, true>(plan, stream)
                          : start_in_order<T, false, false>(plan, stream);
  else
    job.order.transpose_b ? start_in_order<T, true, true>(plan, stream)
                          : start_in_order<T, true, false>(plan, stream);
}

// The parts of k of all outputs.
int parts_of(const Job& job, int64_t batch) {
  int64_t tiles = 0, fewest = INT64_MAX, sums = 0;
  for (const auto& [terms, c, epilogue] : job.outputs) {
    const int64_t columns = epilogue.times.empty() ? kSide : kSide / 2;
    tiles += batch * ((c.size(-2) + kSide - 1) / kSide) * ((c.size(-1) + columns - 1) / columns);
    sums += epilogue.times.empty() ? 1 : 2;
    int64_t steps = 0;
    for (const ProductTerm& term : terms) steps += steps_of(term, job.order.transpose_a);
    fewest = std::min(fewest, steps);
  }
  return sums > kSegments ? 1 : parts_of(tiles, fewest);
}

template <class T, class C>
void multiply(const Job& job) {
  const int64_t batch = plan_of<T, C>(job, 1).batch;
  const int count = parts_of(job, batch);
  if (count == 1) {
    auto plan = plan_of<T, C>(job, 1);
    for (const ProductOutput& output : job.outputs)
      add_segment(plan, job, output.c.size(-1), output.terms, output.epilogue.times,
                  view_of_output<C>(output, job.alpha));
    return start(plan, job);
  }
  auto plan = plan_of<T, float>(job, count);
  const auto add_parts = [&](const Tensor& c, const std::vector<ProductTerm>& terms) {
    if (terms.empty()) return Tensor();
    const Tensor parts({batch * count, c.size(-2), c.size(-1)}, DType::f32, c.device());
    add_segment(plan, job, c.size(-1), terms, {}, view_of_output<float>({{}, parts}, job.alpha));
    return parts;
  };
  std::vector<std::array<Tensor, 2>> sums;
  for (const auto& [terms, c, epilogue] : job.outputs)
    sums.push_back({add_parts(c, terms), add_parts(c, epilogue.times)});
  start(plan, job);
  for (size_t i = 0; i < sums.size(); ++i) finish_parts(sums[i][0], sums[i][1], count, job.outputs[i]);
}

bool fits(const Tensor& a, const Tensor& b, const Tensor& c) {
  const DType dtype = a.dtype();
  return (dtype == DType::bf16 || dtype == DType::f16) && b.dtype() == dtype &&
         (c.dtype() == dtype || c.dtype() == DType::f32) && aligned(a, 8) && aligned(b, 8);
}

// fn.template operator()<T, C>() for operands of T and a result of C, which fit.
template <class Fn>
void visit_pair(DType operands, DType result, const Fn& fn) {
  const auto with = [&]<class T>() {
    result == DType::f32 ? fn.template operator()<T, float>() : fn.template operator()<T, T>();
  };
  operands == DType::bf16 ? with.template operator()<__nv_bfloat16>() : with.template operator()<__half>();
}

void multiply(const Job& job) {
  const ProductOutput& first = job.outputs[0];
  visit_pair(first.terms[0].a.dtype(), first.c.dtype(), [&]<class T, class C>() { multiply<T, C>(job); });
}

void matmul(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  if (!fits(a, b, c)) return matmul_tiled(a, b, c, options);
  const ProductOutput output{{{a, b}}, c, {.residual = options.accumulate ? c : Tensor()}};
  multiply({{&output, 1}, {options.transpose_a, options.transpose_b}, float(options.alpha)});
}

// The second sum goes along with the first one.
bool fits(const ProductOutput& output, ProductOrder order) {
  const auto& [terms, c, epilogue] = output;
  const auto& times = epilogue.times;
  if (!times.empty() && (order.transpose_a || !order.transpose_b)) return false;
  if (terms.size() > kTerms || (!times.empty() && times.size() != terms.size())) return false;
  for (size_t i = 0; i < terms.size(); ++i) {
    if (terms[i].a.dtype() != terms[0].a.dtype() || !fits(terms[i].a, terms[i].b, c)) return false;
    if (times.empty()) continue;
    if (times[i].a.raw() != terms[i].a.raw() || times[i].a.shape() != terms[i].a.shape()) return false;
    if (!fits(terms[i].a, times[i].b, c)) return false;
  }
  return true;
}

bool fits(std::span<const ProductOutput> outputs, ProductOrder order) {
  const auto& [terms, c, epilogue] = outputs[0];
  return outputs.size() <= kSegments && std::ranges::all_of(outputs, [&](const ProductOutput& output) {
           return output.c.dtype() == c.dtype() && output.terms[0].a.dtype() == terms[0].a.dtype() &&
                  fits(output, order);
         });
}

// One launch, and one an output where k is cut, if all is of one dtype and aligned.
void product(std::span<const ProductOutput> outputs, ProductOrder order) {
  if (!fits(outputs, order)) return product_by_terms(outputs, order, finish_product);
  multiply({outputs, order});
}

const Provide<Matmul> provide_matmul{{kKernelDevice}, matmul};
const Provide<Product> provide_product{{kKernelDevice}, product};

}  // namespace
}  // namespace dehvf::cuda
