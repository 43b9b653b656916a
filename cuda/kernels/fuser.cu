// The fuser (core/ops/fuser.h), computed in f32. With a query's row q and the rows C of the levels that it
// reads,
//   q <- W_query (W_out relu(W_hidden [layer | position]))
//   in each block:  m = norm_A(q + W_o attention(W_q q, W_k C, W_v C)),   q <- norm_B(m + W_down relu(W_up
//   m)) weights = softmax(W_weights q)                                       each W with its bias
// A block of threads owns a chunk of the queries of one image that read the same levels, and goes through all
// blocks in shared memory; weights pass through it in tiles. Backward runs the same kernel again, which then
// leaves what it finds in global memory, walks back (fuser_back_kernel) and sums gradients over rows
// (fuser_sums.cuh).
#include <algorithm>

#include "core/ops/elementwise.h"
#include "cuda/kernels/fuser.cuh"
#include "cuda/kernels/fuser_sums.cuh"
#include "cuda/launch.cuh"

namespace dehvf::cuda {
namespace {

__device__ float rectified(float x) { return x < 0 ? 0.0f : x; }  // NaN passes on

// What one matrix of a chunk goes to: shared memory and, where wanted, global memory.
struct Both {
  float *near, *far;  // far may be null
  int width;

  __device__ void put(int row, int column, float value) const {
    near[row * width + column] = value;
    if (far) far[int64_t(row) * width + column] = value;
  }
};

// y = gain x' + bias with x' = (x - mean) / deviation, a warp a row; x' and 1 / deviation are kept. y may be
// x.
__device__ void normalise(const FuserSizes& s, int rows, const float* x, const FuserParameter& gain,
                          const FuserParameter& bias, Both y, float* kept, float* scales) {
  __syncthreads();
  const int lane = int(threadIdx.x) % kWarp;
  for (int row = int(threadIdx.x) / kWarp; row < rows; row += kFuserWarps) {
    const float* const in = x + row * s.width;
    float sum = 0, squares = 0;
    for (int c = lane; c < s.width; c += kWarp) sum += in[c];
    const float mean = warp_sum(sum) / float(s.width);
    for (int c = lane; c < s.width; c += kWarp) squares += (in[c] - mean) * (in[c] - mean);
    const float scale = 1 / sqrtf(warp_sum(squares) / float(s.width) + s.eps);
    if (scales && lane == 0) scales[row] = scale;
    for (int c = lane; c < s.width; c += kWarp) {
      const float normed = (in[c] - mean) * scale;
      if (kept) kept[int64_t(row) * s.width + c] = normed;
      y.put(row, c, gain[c] * normed + bias[c]);
    }
  }
}

// shares = softmax over the levels of scale q k, one pair of query and head a thread; out = shares v.
__device__ void attend(const FuserSizes& s, int rows, const float* q, const float* k, const float* v,
                       float* shares, float* kept_shares, Both out) {
  const int dim = s.width / s.heads;
  const float scale = 1 / sqrtf(float(dim));
  __syncthreads();
  for_each(rows * s.heads, [&](int pair) {
    const int row = pair / s.heads, head = pair % s.heads;
    const float* const query = q + row * s.width + head * dim;
    float* const share = shares + pair * s.group;
    float top = -INFINITY, sum = 0;
    for (int j = 0; j < s.group; ++j) {
      float dot = 0;
      for (int c = 0; c < dim; ++c) dot += query[c] * k[j * s.width + head * dim + c];
      share[j] = scale * dot;
      top = fmaxf(top, share[j]);
    }
    for (int j = 0; j < s.group; ++j) sum += share[j] = expf(share[j] - top);
    for (int j = 0; j < s.group; ++j) {
      share[j] /= sum;
      if (kept_shares) kept_shares[int64_t(pair) * s.group + j] = share[j];
    }
  });
  __syncthreads();
  for_each(rows * s.width, [&](int i) {
    const int row = i / s.width, c = i % s.width;
    const float* const share = shares + (row * s.heads + c / dim) * s.group;
    float sum = 0;
    for (int j = 0; j < s.group; ++j) sum += share[j] * v[j * s.width + c];
    out.put(row, c, sum);
  });
}

// What a block of the fuser leaves in global memory; null where backward does not follow.
struct Kept {
  const FuserSizes& s;
  const FuserWork& work;
  const FuserPlace& place;
  int block;

  __device__ float* rows(int matrix) const {
    return work.row_matrices ? work.rows(s, block, matrix) + place.row * s.width : nullptr;
  }
  __device__ float* levels(int matrix) const {
    return work.row_matrices ? work.of_levels(s, block, matrix) + place.level_row * s.width : nullptr;
  }
  __device__ float* scales(int norm) const {
    return work.row_matrices ? work.scales + (block * 2 + norm) * s.rows() + place.row : nullptr;
  }
  __device__ float* shares() const {
    return work.row_matrices ? work.shares + (block * s.rows() + place.row) * s.heads * s.group : nullptr;
  }
};

// rows[2] = the first q.
__device__ void embed(const FuserSizes& s, const FuserParameters& p, const FuserWork& work,
                      const FuserPlace& place, const FuserBuffers& memory) {
  const int rows = place.chunk.count, t = s.embedding;
  const auto far = [&](float* matrix, int width) { return matrix ? matrix + place.row * width : nullptr; };
  const Both pair{memory.rows[0], far(work.pair, 2 * t), 2 * t},
      hidden{memory.rows[1], far(work.hidden, s.hidden), s.hidden},
      embedded{memory.rows[0], far(work.embedded, t), t};
  for_each(rows * 2 * t, [&](int i) {
    const int row = i / (2 * t), c = i % (2 * t), query = place.chunk.first + row;
    pair.put(row, c,
             c < t ? p.of[kLayers][query / s.positions * t + c]
                   : p.of[kPositions][query % s.positions * t + c - t]);
  });
  product<false>(pair.near, rows, 2 * t, p.of[kEmbedHidden], s.hidden, [&](int row, int c, float sum) {
    hidden.put(row, c, rectified(sum + p.of[kEmbedHidden + 1][c]));
  });
  product<false>(hidden.near, rows, s.hidden, p.of[kEmbedOut], t,
                 [&](int row, int c, float sum) { embedded.put(row, c, sum + p.of[kEmbedOut + 1][c]); });
  product<false>(embedded.near, rows, t, p.of[kFirstQuery], s.width, [&](int row, int c, float sum) {
    memory.rows[2][row * s.width + c] = sum + p.of[kFirstQuery + 1][c];
  });
}

// rows[2] = the block's result for q = rows[2] and C = levels[0].
__device__ void run_block(const FuserSizes& s, const FuserParameters& p, const Kept& kept, int rows,
                          const FuserBuffers& memory) {
  const int width = s.width;
  float *const a = memory.rows[0], *const b = memory.rows[1], *const q = memory.rows[2];
  const auto map = [&](const float* in, int count, int place, const auto& use) {
    const FuserParameter& bias = p.in_block(kept.block, place + 1);
    product<false>(in, count, width, p.in_block(kept.block, place), width,
                   [&](int row, int c, float sum) { use(row, c, sum + bias[c]); });
  };
  const auto into = [&](float* near, float* far) {
    return [=](int row, int c, float sum) { Both{near, far, width}.put(row, c, sum); };
  };
  if (float* const far = kept.rows(kIn)) {
    __syncthreads();
    for_each(rows * width, [&](int i) { far[i] = q[i]; });
  }
  map(q, rows, kMapQ, into(a, kept.rows(kQ)));
  map(memory.levels[0], s.group, kMapK, into(memory.levels[1], kept.levels(kK)));
  map(memory.levels[0], s.group, kMapV, into(memory.levels[2], kept.levels(kV)));
  attend(s, rows, a, memory.levels[1], memory.levels[2], memory.shares[0], kept.shares(),
         {b, kept.rows(kAttended), width});
  map(b, rows, kMapO, [&](int row, int c, float sum) { q[row * width + c] += sum; });
  normalise(s, rows, q, p.in_block(kept.block, kNormA), p.in_block(kept.block, kNormA + 1),
            {q, kept.rows(kMiddle), width}, kept.rows(kNormedA), kept.scales(0));
  const Both up{a, kept.rows(kUp), width};
  map(q, rows, kMapUp, [&](int row, int c, float sum) { up.put(row, c, rectified(sum)); });
  map(a, rows, kMapDown, [&](int row, int c, float sum) { q[row * width + c] += sum; });
  normalise(s, rows, q, p.in_block(kept.block, kNormB), p.in_block(kept.block, kNormB + 1),
            {q, nullptr, width}, kept.rows(kNormedB), kept.scales(1));
}

// weights [images, queries, group]; `work` has null pointers where backward does not follow.
__global__ void fuser_kernel(FuserSizes s, FuserChunks chunks, FuserParameters p, const float* levels,
                             FuserWork work, float* weights) {
  const FuserPlace place = FuserPlace::mine(s, chunks);
  const FuserBuffers memory(s);
  const int rows = place.chunk.count;
  const float* const mine = levels + (int64_t(blockIdx.y) * s.levels + place.chunk.level) * s.width;
  const Both seen{memory.levels[0], work.levels ? work.levels + place.level_row * s.width : nullptr, s.width};
  for_each(s.group * s.width, [&](int i) { seen.put(i / s.width, i % s.width, mine[i]); });
  embed(s, p, work, place, memory);
  for (int block = 0; block < s.blocks; ++block) run_block(s, p, {s, work, place, block}, rows, memory);

  float *const q = memory.rows[2], *const logits = memory.rows[0];
  product<false>(q, rows, s.width, p.tail(0), s.group,
                 [&](int row, int c, float sum) { logits[row * s.group + c] = sum + p.tail(1)[c]; });
  __syncthreads();
  if (work.last) for_each(rows * s.width, [&](int i) { work.last[place.row * s.width + i] = q[i]; });
  for_each(rows, [&](int row) {
    const float* const logit = logits + row * s.group;
    float top = -INFINITY, sum = 0;
    for (int j = 0; j < s.group; ++j) top = fmaxf(top, logit[j]);
    for (int j = 0; j < s.group; ++j) sum += expf(logit[j] - top);
    for (int j = 0; j < s.group; ++j) weights[(place.row + row) * s.group + j] = expf(logit[j] - top) / sum;
  });
}

// dx = gain' (g - mean(g) - x' mean(g x')) / deviation with g = dy gain: what normalise() turns back into. dx
// may be dy.
__device__ void normalise_back(const FuserSizes& s, int rows, const float* dy, const FuserParameter& gain,
                               const float* normed, const float* scales, Both dx) {
  __syncthreads();
  const int lane = int(threadIdx.x) % kWarp;
  for (int row = int(threadIdx.x) / kWarp; row < rows; row += kFuserWarps) {
    const float *const d = dy + row * s.width, *const x = normed + int64_t(row) * s.width;
    float sum = 0, dot = 0;
    for (int c = lane; c < s.width; c += kWarp) {
      sum += d[c] * gain[c];
      dot += d[c] * gain[c] * x[c];
    }
    sum = warp_sum(sum) / float(s.width), dot = warp_sum(dot) / float(s.width);
    for (int c = lane; c < s.width; c += kWarp)
      dx.put(row, c, scales[row] * (d[c] * gain[c] - sum - x[c] * dot));
  }
}

// From the gradient of attend()'s result those of q, k and v. levels[1] and [2] hold k and v.
__device__ void attend_back(const FuserSizes& s, const Kept& kept, int rows, const FuserBuffers& memory,
                            const float* dout, Both dq, Both dk, Both dv) {
  const int dim = s.width / s.heads;
  const float scale = 1 / sqrtf(float(dim));
  const float *const shares = kept.shares(), *const q = kept.rows(kQ), *const v = memory.levels[2];
  float* const slopes = memory.shares[0];
  __syncthreads();
  for_each(rows * s.heads, [&](int pair) {
    const int row = pair / s.heads, head = pair % s.heads;
    const float *const share = shares + pair * s.group, *const d = dout + row * s.width + head * dim;
    float* const slope = slopes + pair * s.group;
    float sum = 0;
    for (int j = 0; j < s.group; ++j) {
      float dot = 0;
      for (int c = 0; c < dim; ++c) dot += d[c] * v[j * s.width + head * dim + c];
      slope[j] = dot;
      sum += share[j] * dot;
    }
    for (int j = 0; j < s.group; ++j) slope[j] = scale * share[j] * (slope[j] - sum);
  });
  __syncthreads();
  for_each(rows * s.width, [&](int i) {
    const int row = i / s.width, c = i % s.width;
    const float* const slope = slopes + (row * s.heads + c / dim) * s.group;
    float sum = 0;
    for (int j = 0; j < s.group; ++j) sum += slope[j] * memory.levels[1][j * s.width + c];
    dq.put(row, c, sum);
  });
  for_each(s.group * s.width, [&](int i) {
    const int j = i / s.width, c = i % s.width;
    float key = 0, value = 0;
    for (int row = 0; row < rows; ++row) {
      const int at = (row * s.heads + c / dim) * s.group + j;
      key += slopes[at] * q[int64_t(row) * s.width + c];
      value += shares[at] * dout[row * s.width + c];
    }
    dk.put(j, c, key);
    dv.put(j, c, value);
  });
}

// rows[2] goes from the gradient of the block's result to that of its q; levels[0] collects that of the
// levels.
__device__ void run_block_back(const FuserSizes& s, const FuserParameters& p, const Kept& kept, int rows,
                               const FuserBuffers& memory) {
  const int width = s.width;
  float *const a = memory.rows[0], *const b = memory.rows[1], *const d = memory.rows[2];
  const auto back = [&](const float* in, int count, int place, const auto& use) {
    product<true>(in, count, width, p.in_block(kept.block, place), width, use);
  };
  const auto row = [&](float* near, int matrix) { return Both{near, kept.rows(matrix), width}; };
  float *const far = kept.rows(kDOut), *const keys = kept.levels(kK), *const values = kept.levels(kV);
  __syncthreads();
  for_each(rows * width, [&](int i) { far[i] = d[i]; });
  for_each(s.group * width, [&](int i) { memory.levels[1][i] = keys[i], memory.levels[2][i] = values[i]; });
  normalise_back(s, rows, d, p.in_block(kept.block, kNormB), kept.rows(kNormedB), kept.scales(1),
                 row(a, kDDown));
  const Both dup = row(b, kDUp), dmiddle = row(d, kDMiddle), dq = row(d, kDQ);
  const float* const up = kept.rows(kUp);
  back(a, rows, kMapDown,
       [&](int r, int c, float sum) { dup.put(r, c, up[r * width + c] > 0 ? sum : 0.0f); });
  back(b, rows, kMapUp, [&](int r, int c, float sum) { dmiddle.put(r, c, sum + a[r * width + c]); });
  normalise_back(s, rows, d, p.in_block(kept.block, kNormA), kept.rows(kNormedA), kept.scales(0),
                 row(a, kDO));
  back(a, rows, kMapO, [&](int r, int c, float sum) { b[r * width + c] = sum; });
  attend_back(s, kept, rows, memory, b, dq, {memory.levels[3], kept.levels(kDK), width},
              {memory.levels[4], kept.levels(kDV), width});
  float* const dlevels = memory.levels[0];
  back(memory.levels[3], s.group, kMapK, [&](int r, int c, float sum) { dlevels[r * width + c] += sum; });
  back(memory.levels[4], s.group, kMapV, [&](int r, int c, float sum) { dlevels[r * width + c] += sum; });
  back(d, rows, kMapQ, [&](int r, int c, float sum) { a[r * width + c] += sum; });
  __syncthreads();
  for_each(rows * width, [&](int i) { d[i] = a[i]; });
}

// rows[2] = the gradient of the first q; leaves what the embedding network's sums need.
__device__ void embed_back(const FuserSizes& s, const FuserParameters& p, const FuserWork& work,
                           const FuserPlace& place, const FuserBuffers& memory) {
  const int rows = place.chunk.count, t = s.embedding;
  float *const a = memory.rows[0], *const b = memory.rows[1], *const d = memory.rows[2];
  const Both dembedded{a, work.dembedded + place.row * t, t},
      dhidden{b, work.dhidden + place.row * s.hidden, s.hidden};
  const float* const hidden = work.hidden + place.row * s.hidden;
  float* const dpair = work.dpair + place.row * 2 * t;
  __syncthreads();
  for_each(rows * s.width, [&](int i) { work.dfirst[place.row * s.width + i] = d[i]; });
  product<true>(d, rows, s.width, p.of[kFirstQuery], t,
                [&](int r, int c, float sum) { dembedded.put(r, c, sum); });
  product<true>(a, rows, t, p.of[kEmbedOut], s.hidden, [&](int r, int c, float sum) {
    dhidden.put(r, c, hidden[r * s.hidden + c] > 0 ? sum : 0.0f);
  });
  product<true>(b, rows, s.hidden, p.of[kEmbedHidden], 2 * t,
                [&](int r, int c, float sum) { dpair[r * 2 * t + c] = sum; });
}

__global__ void fuser_back_kernel(FuserSizes s, FuserChunks chunks, FuserParameters p, FuserWork work,
                                  const float* dweights) {
  const FuserPlace place = FuserPlace::mine(s, chunks);
  const FuserBuffers memory(s);
  const int rows = place.chunk.count;
  const Both dlogits{memory.rows[0], work.dweights + place.row * s.group, s.group};
  for_each(rows, [&](int row) {
    const float* const w = work.weights + (place.row + row) * s.group;
    const float* const d = dweights + (place.row + row) * s.group;
    float dot = 0;
    for (int j = 0; j < s.group; ++j) dot += w[j] * d[j];
    for (int j = 0; j < s.group; ++j) dlogits.put(row, j, w[j] * (d[j] - dot));
  });
  for_each(s.group * s.width, [&](int i) { memory.levels[0][i] = 0; });
  product<true>(dlogits.near, rows, s.group, p.tail(0), s.width,
                [&](int row, int c, float sum) { memory.rows[2][row * s.width + c] = sum; });
  for (int block = s.blocks; block-- > 0;) run_block_back(s, p, {s, work, place, block}, rows, memory);
  embed_back(s, p, work, place, memory);
  for_each(s.group * s.width,
           [&](int i) { work.dlevels[place.level_row * s.width + i] = memory.levels[0][i]; });
}

Tensor in_f32(const Tensor& x) {
  if (x.dtype() == DType::f32) return x;
  const Tensor wide(x.shape(), DType::f32, x.device());
  run<Cast>(x.device().kind, x, wide);
  return wide;
}

// What the launches of one call have in common.
struct Call {
  Call(const Tensor& levels, std::span<const Tensor> parameters, const FuserPlan& plan)
      : levels(in_f32(levels)) {
    const std::vector<FuserChunk> list = fuser_chunks(plan);
    std::ranges::copy(list, chunks.of);
    p.blocks = (int(parameters.size()) - kFuserHead - kFuserTail) / kFuserBlock;
    for (size_t i = 0; i < parameters.size(); ++i) p.of[i] = {parameters[i].raw(), parameters[i].dtype()};
    const auto size = [](const Tensor& x, int axis) { return int(x.size(axis)); };
    const int layers = int(plan.first_level.size());
    sizes = {.images = size(levels, 0),
             .layers = layers,
             .positions = plan.positions,
             .queries = layers * plan.positions,
             .chunks = int(list.size()),
             .levels = size(levels, 1),
             .group = size(parameters.back(), 0),
             .embedding = size(parameters[0], 1),
             .hidden = size(parameters[2], 0),
             .width = size(levels, 2),
             .heads = plan.heads,
             .blocks = p.blocks,
             .eps = float(plan.eps)};
    sizes.widest = std::max({sizes.width, 2 * sizes.embedding, sizes.hidden, sizes.group});
  }

  void forward(const FuserWork& work, float* weights) const {
    launch({"fuser"}, dim3(unsigned(sizes.chunks), unsigned(sizes.images)), dim3(kFuserThreads),
           fuser_shared_bytes(sizes), current_stream(levels.device()), fuser_kernel, sizes, chunks, p,
           static_cast<const float*>(levels.data<float>()), work, weights);
  }

  Tensor levels;
  FuserSizes sizes{};
  FuserChunks chunks{};
  FuserParameters p{};
};

void forward(const Tensor& levels, std::span<const Tensor> parameters, const FuserPlan& plan,
             const Tensor& weights) {
  const Call call(levels, parameters, plan);
  if (weights.dtype() == DType::f32) return call.forward({}, weights.data<float>());
  const Tensor wide(weights.shape(), DType::f32, weights.device());
  call.forward({}, wide.data<float>());
  run<Cast>(weights.device().kind, wide, weights);
}

void backward(const Tensor& levels, std::span<const Tensor> parameters, const FuserPlan& plan,
              const Tensor& dweights, const Tensor& dlevels, std::span<const Tensor> grads) {
  const Call call(levels, parameters, plan);
  const Tensor slopes = in_f32(dweights), memory({fuser_work_count(call.sizes)}, DType::f32, levels.device());
  const FuserWork work = fuser_work(call.sizes, memory.data<float>());
  call.forward(work, work.weights);
  const Stream stream = current_stream(levels.device());
  launch({"fuser_back"}, dim3(unsigned(call.sizes.chunks), unsigned(call.sizes.images)), dim3(kFuserThreads),
         fuser_shared_bytes(call.sizes), stream, fuser_back_kernel, call.sizes, call.chunks, call.p, work,
         static_cast<const float*>(slopes.data<float>()));
  fuser_parameter_sums(call.sizes, work, grads, stream);
  if (dlevels) fuser_level_sums(call.sizes, call.chunks, work, dlevels, stream);
}

const Provide<FuserForward> provide_forward{{kKernelDevice}, forward};
const Provide<FuserBackward> provide_backward{{kKernelDevice}, backward};

}  // namespace
}  // namespace dehvf::cuda
