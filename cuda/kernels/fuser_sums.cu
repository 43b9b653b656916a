// The sums of cuda/kernels/fuser_sums.cuh. Each element is summed by one thread in the order of the rows,
// that of a column sum by one thread of each warp, and then in the order of the warps.
#include <algorithm>

#include "cuda/kernels/fuser_sums.cuh"
#include "cuda/launch.cuh"

namespace dehvf::cuda {
namespace {

// dweight [out, in] = dy^T x, dbias [out] = dy^T 1; either may be null.
struct OuterSum {
  const float *x, *dy;
  float *dweight, *dbias;
  int64_t rows;
  int in, out;
};
constexpr int kMostOuterSums = 6 * kFuserMostBlocks + 4, kSumTile = 32;
struct OuterSums {
  OuterSum of[kMostOuterSums];
};
struct OuterTiles {
  float x[kSumTile][kSumTile], dy[kSumTile][kSumTile];
};

// Block (i, j, k) owns the j-th 32 outputs by the i-th 32 inputs of sum k; a warp every fourth output, a lane
// an input.
__global__ void fuser_outer_sums_kernel(OuterSums sums) {
  const OuterSum sum = sums.of[blockIdx.z];
  const int in0 = int(blockIdx.x) * kSumTile, out0 = int(blockIdx.y) * kSumTile;
  if (in0 >= sum.in || out0 >= sum.out) return;
  auto& tiles = shared<OuterTiles>();
  constexpr int kOwn = kSumTile / kFuserWarps;
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  float weight[kOwn] = {}, bias[kOwn] = {};
  for (int64_t row0 = 0; row0 < sum.rows; row0 += kSumTile) {
    for (int r = warp; r < kSumTile; r += kFuserWarps) {
      const bool inside = row0 + r < sum.rows;
      tiles.x[r][lane] = inside && in0 + lane < sum.in ? sum.x[(row0 + r) * sum.in + in0 + lane] : 0.0f;
      tiles.dy[r][lane] = inside && out0 + lane < sum.out ? sum.dy[(row0 + r) * sum.out + out0 + lane] : 0.0f;
    }
    __syncthreads();
    for (int r = 0; r < kSumTile; ++r)
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
        const float d = tiles.dy[r][warp + i * kFuserWarps];
        weight[i] += d * tiles.x[r][lane];
        bias[i] += d;
      }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    const int out = out0 + warp + i * kFuserWarps, in = in0 + lane;
    if (out >= sum.out) break;
    if (sum.dweight && in < sum.in) sum.dweight[int64_t(out) * sum.in + in] = weight[i];
    if (sum.dbias && in == 0) sum.dbias[out] = bias[i];
  }
}

// out[v, c] = sum over i < outer and j < inner of (a b)[v vector_step + i outer_step + j, c]; without b, of
// a. Rows of a and b are `stride` long.
struct ColumnSum {
  const float *a, *b;
  float* out;
  int width, stride, vectors, vector_step, outer, outer_step, inner;
};
constexpr int kMostColumnSums = 2 + 4 * kFuserMostBlocks;
struct ColumnSums {
  ColumnSum of[kMostColumnSums];
};
struct ColumnParts {
  float of[kFuserWarps][kWarp];
};

// Block (i, v, k) owns the i-th 32 columns of vector v of sum k; a warp takes every fourth row.
__global__ void fuser_column_sums_kernel(ColumnSums sums) {
  const ColumnSum sum = sums.of[blockIdx.z];
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  const int c = int(blockIdx.x) * kWarp + lane, vector = int(blockIdx.y);
  if (vector >= sum.vectors) return;
  float part = 0;
  for (int64_t i = warp; c < sum.width && i < int64_t(sum.outer) * sum.inner; i += kFuserWarps) {
    const int64_t row = int64_t(vector) * sum.vector_step + i / sum.inner * sum.outer_step + i % sum.inner;
    part += sum.a[row * sum.stride + c] * (sum.b ? sum.b[row * sum.stride + c] : 1.0f);
  }
  auto& parts = shared<ColumnParts>().of;
  parts[warp][lane] = part;
  __syncthreads();
  if (warp > 0 || c >= sum.width) return;
  float total = 0;
  for (int w = 0; w < kFuserWarps; ++w) total += parts[w][lane];
  sum.out[int64_t(vector) * sum.width + c] = total;
}

// dlevels[image, level]: the sum over the chunks that read the level; zero where none does.
__global__ void fuser_level_sums_kernel(FuserSizes s, FuserChunks chunks, const float* parts,
                                        float* dlevels) {
  const int level = int(blockIdx.x);
  const int64_t image = blockIdx.y;
  for_each(s.width, [&](int c) {
    float sum = 0;
    for (int k = 0; k < s.chunks; ++k) {
      const int j = level - chunks.of[k].level;
      if (j >= 0 && j < s.group) sum += parts[((image * s.chunks + k) * s.group + j) * s.width + c];
    }
    dlevels[(image * s.levels + level) * s.width + c] = sum;
  });
}

// fn(pointer, floats) for each part of the work.
template <class Fn>
void for_parts(const FuserSizes& s, FuserWork& work, const Fn& fn) {
  const int64_t rows = s.rows(), level_rows = s.level_rows();
  fn(work.row_matrices, s.blocks * kRowMatrices * rows * s.width);
  fn(work.level_matrices, s.blocks * kLevelMatrices * level_rows * s.width);
  fn(work.scales, s.blocks * 2 * rows);
  fn(work.shares, s.blocks * rows * s.heads * s.group);
  for (float** matrix : {&work.pair, &work.dpair}) fn(*matrix, rows * 2 * s.embedding);
  for (float** matrix : {&work.hidden, &work.dhidden}) fn(*matrix, rows * s.hidden);
  for (float** matrix : {&work.embedded, &work.dembedded}) fn(*matrix, rows * s.embedding);
  for (float** matrix : {&work.last, &work.dfirst}) fn(*matrix, rows * s.width);
  for (float** matrix : {&work.weights, &work.dweights}) fn(*matrix, rows * s.group);
  for (float** matrix : {&work.levels, &work.dlevels}) fn(*matrix, level_rows * s.width);
}

unsigned tiles(int count) { return unsigned((count + kSumTile - 1) / kSumTile); }

void outer_sums(const FuserSizes& s, const FuserWork& work, std::span<const Tensor> grads,
                const Stream& stream) {
  OuterSums sums{};
  unsigned count = 0, in_tiles = 0, out_tiles = 0;
  const auto add = [&](size_t parameter, const float* x, const float* dy, int64_t rows, int in, int out) {
    const auto data = [&](size_t i) { return grads[i] ? grads[i].data<float>() : nullptr; };
    if (!grads[parameter] && !grads[parameter + 1]) return;
    sums.of[count++] = {x, dy, data(parameter), data(parameter + 1), rows, in, out};
    in_tiles = std::max(in_tiles, tiles(in)), out_tiles = std::max(out_tiles, tiles(out));
  };
  const int64_t rows = s.rows(), level_rows = s.level_rows();
  add(kEmbedHidden, work.pair, work.dhidden, rows, 2 * s.embedding, s.hidden);
  add(kEmbedOut, work.hidden, work.dembedded, rows, s.hidden, s.embedding);
  add(kFirstQuery, work.embedded, work.dfirst, rows, s.embedding, s.width);
  for (int b = 0; b < s.blocks; ++b) {
    const size_t first = size_t(kFuserHead + b * kFuserBlock);
    const auto of_rows = [&](int map, int x, int dy) {
      add(first + size_t(map), work.rows(s, b, x), work.rows(s, b, dy), rows, s.width, s.width);
    };
    of_rows(kMapQ, kIn, kDQ);
    of_rows(kMapO, kAttended, kDO);
    of_rows(kMapUp, kMiddle, kDUp);
    of_rows(kMapDown, kUp, kDDown);
    // A key's bias moves all scores of a query alike and softmax does not see it: zero, not the sum's
    // roundings.
    const unsigned keys = count;
    add(first + kMapK, work.levels, work.of_levels(s, b, kDK), level_rows, s.width, s.width);
    if (count > keys) sums.of[keys].dbias = nullptr;
    if (grads[first + kMapK + 1]) fill(grads[first + kMapK + 1], 0);
    add(first + kMapV, work.levels, work.of_levels(s, b, kDV), level_rows, s.width, s.width);
  }
  add(grads.size() - 2, work.last, work.dweights, rows, s.width, s.group);
  launch({"fuser_outer_sums"}, dim3(in_tiles, out_tiles, count), dim3(kFuserThreads), 0, stream,
         fuser_outer_sums_kernel, sums);
}

void column_sums(const FuserSizes& s, const FuserWork& work, std::span<const Tensor> grads,
                 const Stream& stream) {
  ColumnSums sums{};
  unsigned count = 0, columns = 0, vectors = 0;
  const auto add = [&](const Tensor& grad, ColumnSum sum) {
    if (!grad) return;
    sum.out = grad.data<float>();
    sums.of[count++] = sum;
    columns = std::max(columns, tiles(sum.width)), vectors = std::max(vectors, unsigned(sum.vectors));
  };
  const int t = s.embedding, rows = int(s.rows());
  add(grads[kLayers],
      {work.dpair, nullptr, nullptr, t, 2 * t, s.layers, s.positions, s.images, s.queries, s.positions});
  add(grads[kPositions],
      {work.dpair + t, nullptr, nullptr, t, 2 * t, s.positions, 1, s.images * s.layers, s.positions, 1});
  for (int b = 0; b < s.blocks; ++b)
    for (const auto& [norm, normed, dy] :
         {std::tuple{kNormA, kNormedA, kDMiddle}, {kNormB, kNormedB, kDOut}}) {
      const size_t gain = size_t(kFuserHead + b * kFuserBlock + norm);
      const float* const d = work.rows(s, b, dy);
      add(grads[gain], {d, work.rows(s, b, normed), nullptr, s.width, s.width, 1, 0, 1, 0, rows});
      add(grads[gain + 1], {d, nullptr, nullptr, s.width, s.width, 1, 0, 1, 0, rows});
    }
  launch({"fuser_column_sums"}, dim3(columns, vectors, count), dim3(kFuserThreads), 0, stream,
         fuser_column_sums_kernel, sums);
}

}  // namespace

int64_t fuser_work_count(const FuserSizes& s) {
  FuserWork work{};
  int64_t total = 0;
  for_parts(s, work, [&](float*, int64_t count) { total += count; });
  return total;
}

FuserWork fuser_work(const FuserSizes& s, float* memory) {
  FuserWork work{};
  for_parts(s, work, [&](float*& part, int64_t count) { part = memory, memory += count; });
  return work;
}

void fuser_parameter_sums(const FuserSizes& s, const FuserWork& work, std::span<const Tensor> grads,
                          const Stream& stream) {
  outer_sums(s, work, grads, stream);
  column_sums(s, work, grads, stream);
}

void fuser_level_sums(const FuserSizes& s, const FuserChunks& chunks, const FuserWork& work,
                      const Tensor& dlevels, const Stream& stream) {
  launch({"fuser_level_sums"}, dim3(unsigned(s.levels), unsigned(s.images)), dim3(kFuserThreads), 0, stream,
         fuser_level_sums_kernel, s, chunks, static_cast<const float*>(work.dlevels), dlevels.data<float>());
}

}  // namespace dehvf::cuda
