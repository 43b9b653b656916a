// The visual rows by tiles of 64 x 64: a block of threads owns 64 tokens of one sample by 64 slots (scores,
// slopes) or by 64 columns (mixtures), or 64 terms of an image by 64 columns (their gradients); a thread owns
// 4 x 4 elements and keeps their sums in f32. What stands under the names is said in
// cuda/kernels/visual_rows.cuh.
#include "cuda/kernels/visual_rows.cuh"
#include "cuda/load.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kTile = 64, kDepth = 16, kOwn = 4, kAcross = kTile / kOwn, kThreads = kAcross * kAcross;

struct Tiles {
  alignas(16) float a[kDepth][kTile + 4];  // 4 more: whole packs, and filled along k without many conflicts
  alignas(16) float b[kDepth][kTile + 4];
};

// tile[k][i] = element(i, k0 + k) for a thread's share; kByK says along which index memory is contiguous.
template <bool kByK, class Element>
__device__ void fill_tile(float (&tile)[kDepth][kTile + 4], int64_t k0, int64_t depth,
                          const Element& element) {
#pragma unroll
  for (int part = 0; part < kTile * kDepth / kThreads; ++part) {
    const int at = int(threadIdx.x) + part * kThreads;
    const int i = kByK ? at / kDepth : at % kTile, k = kByK ? at % kDepth : at / kTile;
    tile[k][i] = k0 + k < depth ? element(i, k0 + k) : 0.0f;
  }
}

// sum[i][j] += over k < depth of a(row, k) b(column, k), for the thread's rows and columns of the block's 64
// each; a and b are asked for those alone and give 0 outside. All threads call it.
template <bool kAByK, bool kBByK, class A, class B>
__device__ void add_product(float (&sum)[kOwn][kOwn], int64_t depth, const A& a, const B& b) {
  auto& tiles = shared<Tiles>();
  const int column = int(threadIdx.x) % kAcross * kOwn, row = int(threadIdx.x) / kAcross * kOwn;
  for (int64_t k0 = 0; k0 < depth; k0 += kDepth) {
    __syncthreads();
    fill_tile<kAByK>(tiles.a, k0, depth, a);
    fill_tile<kBByK>(tiles.b, k0, depth, b);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      const Pack<float, kOwn> left = load<kOwn>(&tiles.a[k][row]), right = load<kOwn>(&tiles.b[k][column]);
#pragma unroll
      for (int i = 0; i < kOwn; ++i)
#pragma unroll
        for (int j = 0; j < kOwn; ++j) sum[i][j] += left.items[i] * right.items[j];
    }
  }
}

// Up to 64 tokens of one sample.
struct Run {
  int64_t begin, end;
  int image;
  int sample;  // -1: this block has none
};

// The index-th run of all samples.
__device__ Run run_at(const Rows& rows, int64_t index) {
  for (int s = 0; s < rows.samples; ++s) {
    const int64_t begin = rows.offsets[s], end = rows.offsets[s + 1],
                  count = (end - begin + kTile - 1) / kTile;
    if (index < count) {
      const int64_t first = begin + index * kTile;
      return {first, first + kTile < end ? first + kTile : end, rows.image_of[s], s};
    }
    index -= count;
  }
  return {0, 0, -1, -1};
}
// At least as many as there are: offsets stand on the device.
unsigned most_runs(int64_t tokens, int samples) { return unsigned((tokens + kTile - 1) / kTile + samples); }
unsigned tiles(int64_t count) { return unsigned((count + kTile - 1) / kTile); }

// body(token, slot, what the image adds: lambda P_t . z'_j or 0, dropout's factor) for the thread's elements.
template <class Z, class Body>
__device__ void for_scores(const Rows& rows, const float* projected, const float* column, const Z* z,
                           const Body& body) {
  const Run run = run_at(rows, blockIdx.x);
  if (run.sample < 0) return;
  const int64_t slot0 = int64_t(blockIdx.y) * kTile;
  float sum[kOwn][kOwn] = {};
  if (run.image >= 0 && slot0 < rows.terms) {
    const Z* const terms = z + int64_t(run.image) * rows.terms * rows.rank;
    add_product<true, true>(
        sum, rows.rank,
        [&](int i, int64_t k) {
          return run.begin + i < run.end ? projected[(run.begin + i) * rows.rank + k] : 0.0f;
        },
        [&](int j, int64_t k) {
          return slot0 + j < rows.terms ? widened(terms[(slot0 + j) * rows.rank + k]) : 0.0f;
        });
  }
  const int64_t slot = slot0 + int(threadIdx.x) % kAcross * kOwn;
  const uint64_t key = rows.drops ? dropout_key(rows.draw) : 0;
  const uint64_t id = rows.drops ? uint64_t(rows.ids[run.sample]) : 0;
  for (int i = 0; i < kOwn; ++i) {
    const int64_t token = run.begin + int(threadIdx.x) / kAcross * kOwn + i;
    if (token >= run.end) break;
    DropoutFactors factors{{1, 1, 1, 1}};
    if (rows.drops) {
      const int position = rows.positions ? rows.positions[token] : int(token - rows.offsets[run.sample]);
      factors = dropout_factors(rows.draw, key, id, uint32_t(position), uint32_t(slot / 4));
    }
    for (int j = 0; j < kOwn && slot + j < rows.slots; ++j) {
      const bool seen = run.image >= 0 && slot + j < rows.terms;
      const float term = seen ? sum[i][j] + (rows.factored ? column[token] : 0.0f) : 0.0f;
      body(token, slot + j, rows.lambda * term, factors.of[j]);
    }
  }
}

template <class Z>
__global__ void visual_rows_scores_kernel(Rows rows, const float* projected, const float* column,
                                          const Z* keys, float* scores, float* weights) {
  for_scores(rows, projected, column, keys, [&](int64_t token, int64_t slot, float term, float factor) {
    const int64_t at = token * rows.slots + slot;
    const float score = scores[at] + term;
    scores[at] = score;
    weights[at] = factor == 0 ? 0.0f : factor * value_of(rows, score);
  });
}

template <class Z>
__global__ void visual_rows_score_slopes_kernel(Rows rows, const float* projected, const float* column,
                                                const Z* values, const float* scores, float* slopes,
                                                float* weights) {
  for_scores(rows, projected, column, values, [&](int64_t token, int64_t slot, float term, float factor) {
    const int64_t at = token * rows.slots + slot;
    const float score = scores[at], slope = slopes[at] + term;
    slopes[at] = factor == 0 ? 0.0f : factor * rows.scale * slope * slope_of(rows, score);
    weights[at] = factor == 0 ? 0.0f : factor * value_of(rows, score);
  });
}

// mixed_t = sum over the terms of the token's image of weight_tj z'_j; zero for tokens without one.
template <class Z>
__global__ void visual_rows_mix_kernel(Rows rows, const float* weights, const Z* z, float* mixed,
                                       float* mixed_column) {
  const Run run = run_at(rows, blockIdx.x);
  if (run.sample < 0) return;
  const int64_t column0 = int64_t(blockIdx.y) * kTile;
  const int terms = run.image < 0 ? 0 : rows.terms;
  const Z* const from = z + int64_t(run.image < 0 ? 0 : run.image) * rows.terms * rows.rank;
  const auto weight = [&](int i, int64_t j) {
    return run.begin + i < run.end ? weights[(run.begin + i) * rows.slots + j] : 0.0f;
  };
  float sum[kOwn][kOwn] = {};
  add_product<true, false>(sum, terms, weight, [&](int c, int64_t j) {
    return column0 + c < rows.rank ? widened(from[j * rows.rank + column0 + c]) : 0.0f;
  });
  for (int i = 0; i < kOwn; ++i)
    for (int j = 0; j < kOwn; ++j) {
      const int64_t token = run.begin + int(threadIdx.x) / kAcross * kOwn + i;
      const int64_t c = column0 + int(threadIdx.x) % kAcross * kOwn + j;
      if (token < run.end && c < rows.rank) mixed[token * rows.rank + c] = sum[i][j];
    }
  if (!rows.factored || column0 > 0) return;
  for (int64_t token = run.begin + threadIdx.x; token < run.end; token += kThreads) {
    float total = 0;
    for (int j = 0; j < terms; ++j) total += weights[token * rows.slots + j];
    mixed_column[token] = total;
  }
}

// dz_ij = factor sum over the tokens of the image's samples, in order, of weight_tj projected_t.
__global__ void visual_rows_term_sums_kernel(Rows rows, const float* weights, const float* projected,
                                             float factor, float* gradient) {
  const int64_t term0 = int64_t(blockIdx.x) * kTile, column0 = int64_t(blockIdx.y) * kTile;
  const int image = int(blockIdx.z);
  float sum[kOwn][kOwn] = {};
  for (int s = 0; s < rows.samples; ++s) {
    if (rows.image_of[s] != image) continue;
    const int64_t begin = rows.offsets[s];
    add_product<false, false>(
        sum, rows.offsets[s + 1] - begin,
        [&](int j, int64_t t) {
          return term0 + j < rows.terms ? weights[(begin + t) * rows.slots + term0 + j] : 0.0f;
        },
        [&](int c, int64_t t) {
          return column0 + c < rows.rank ? projected[(begin + t) * rows.rank + column0 + c] : 0.0f;
        });
  }
  for (int i = 0; i < kOwn; ++i)
    for (int j = 0; j < kOwn; ++j) {
      const int64_t term = term0 + int(threadIdx.x) / kAcross * kOwn + i;
      const int64_t c = column0 + int(threadIdx.x) % kAcross * kOwn + j;
      if (term < rows.terms && c < rows.rank)
        gradient[(image * int64_t(rows.terms) + term) * rows.rank + c] = factor * sum[i][j];
    }
}

dim3 grid_for(const Images& images, const Tensor& scores, int64_t columns) {
  return dim3(most_runs(scores.size(0), images.on_device.samples), tiles(columns));
}

template <class Z>
void mix(const Images& images, const Tensor& weights, const Z* z, const Coordinates& mixed) {
  if (!images.present()) return;
  launch({"visual_rows_mix"}, grid_for(images, weights, images.on_device.rank), dim3(kThreads), 0,
         images.stream(), visual_rows_mix_kernel<Z>, images.on_device, weights.data<float>(), z,
         data_of(mixed.matrix), data_of(mixed.column));
}

void forward(const Images& images, const Coordinates& projected, const Tensor& scores, const Tensor& weights,
             const Coordinates& mixed) {
  images.visit([&]<class Z>(const Z* keys, const Z* values) {
    launch({"visual_rows_scores"}, grid_for(images, scores, images.on_device.slots), dim3(kThreads), 0,
           images.stream(), visual_rows_scores_kernel<Z>, images.on_device, data_of(projected.matrix),
           data_of(projected.column), keys, scores.data<float>(), weights.data<float>());
    images.drop(weights);
    mix(images, weights, values, mixed);
  });
}

void backward(const Images& images, const Coordinates& projected, const Tensor& scores, const Tensor& slopes,
              const Tensor& weights, const Coordinates& mixed_keys, const Coordinates& mixed_values) {
  images.visit([&]<class Z>(const Z* keys, const Z* values) {
    launch({"visual_rows_score_slopes"}, grid_for(images, scores, images.on_device.slots), dim3(kThreads), 0,
           images.stream(), visual_rows_score_slopes_kernel<Z>, images.on_device, data_of(projected.matrix),
           data_of(projected.column), values, scores.data<float>(), slopes.data<float>(),
           weights.data<float>());
    images.drop(weights, slopes);
    mix(images, slopes, keys, mixed_keys);
    mix(images, weights, values, mixed_values);
  });
}

void terms(const Images& images, const Tensor& along, const Tensor& of, double factor,
           const Tensor& gradient) {
  const dim3 grid(tiles(gradient.size(1)), tiles(gradient.size(2)), unsigned(gradient.size(0)));
  launch({"visual_rows_term_sums"}, grid, dim3(kThreads), 0, images.stream(), visual_rows_term_sums_kernel,
         images.on_device, along.data<float>(), of.data<float>(), float(factor), gradient.data<float>());
}

constexpr VisualRowsMiddle kMiddle{forward, backward, terms};

const Provide<VisualRowsForward> provide_forward{
    {kKernelDevice},
    [](const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan, const Tensor& output,
       const Tensor& scores) { visual_rows_forward(kMiddle, x, rows, plan, output, scores); }};
const Provide<VisualRowsBackward> provide_backward{
    {kKernelDevice},
    [](const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan, const Tensor& scores,
       const Tensor& dy, const Tensor& dx, const VisualRowsTensors& grads) {
      visual_rows_backward(kMiddle, x, rows, plan, scores, dy, dx, grads);
    }};

}  // namespace
}  // namespace dehvf::cuda
