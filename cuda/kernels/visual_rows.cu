// The visual rows by tiles of 64 x 64: a block of threads owns 64 tokens of one sample by 64 slots (scores,
// slopes) or by 64 columns (mixtures), or 64 terms of an image by 64 columns (their gradients). What stands
// under the names is said in cuda/kernels/visual_rows.cuh.
#include "cuda/kernels/block_product.cuh"
#include "cuda/kernels/visual_rows.cuh"

namespace dehvf::cuda {
namespace {

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
template <class H, class Z, class Body>
__device__ void for_scores(const Rows& rows, const H* projected, const Z* z, const Body& body) {
  const Run run = run_at(rows, blockIdx.x);
  if (run.sample < 0) return;
  const int64_t slot0 = int64_t(blockIdx.y) * kTile;
  float sum[kOwn][kOwn] = {};
  if (run.image >= 0 && slot0 < rows.terms) {
    const Z* const terms = z + int64_t(run.image) * rows.terms * rows.rank;
    add_product<H, true, true>(
        sum, rows.coordinates,
        [&](int i, int64_t k) {
          return run.begin + i < run.end ? widened(projected[(run.begin + i) * rows.coordinates + k]) : 0.0f;
        },
        [&](int j, int64_t k) { return slot0 + j < rows.terms ? term_at(rows, terms, slot0 + j, k) : 0.0f; });
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
    for (int j = 0; j < kOwn && slot + j < rows.slots; ++j)
      body(token, slot + j, rows.lambda * sum[i][j], rows.scale * factors.of[j]);
  }
}

template <class H, class Z>
__global__ void visual_rows_scores_kernel(Rows rows, const H* projected, const Z* keys, float* scores,
                                          H* weights) {
  for_scores(rows, projected, keys, [&](int64_t token, int64_t slot, float term, float factor) {
    const int64_t at = token * rows.slots + slot;
    const float score = scores[at] + term;
    scores[at] = score;
    weights[at] = rounded<H>(factor == 0 ? 0.0f : factor * value_of(rows, score));
  });
}

template <class H, class Z>
__global__ void visual_rows_score_slopes_kernel(Rows rows, const H* projected, const Z* values,
                                                const float* scores, const float* slopes, H* dscores,
                                                H* weights) {
  for_scores(rows, projected, values, [&](int64_t token, int64_t slot, float term, float factor) {
    const int64_t at = token * rows.slots + slot;
    const float score = scores[at], slope = slopes[at] + term;
    dscores[at] = rounded<H>(factor == 0 ? 0.0f : factor * slope * slope_of(rows, score));
    weights[at] = rounded<H>(factor == 0 ? 0.0f : factor * value_of(rows, score));
  });
}

// What the keys and the values want alike goes into one launch, which fills the machine better than two.
constexpr int kSides = 2;

template <class H, class Z>
struct Mixture {
  const H* weights;
  const Z* z;
  H* mixed;
};
template <class H, class Z>
struct Mixtures {
  Mixture<H, Z> of[kSides];
};

// mixed_t = lambda sum over the terms of the token's image of weight_tj z'_j; zero for tokens without one.
template <class H, class Z>
__global__ void visual_rows_mix_kernel(Rows rows, Mixtures<H, Z> sides) {
  const auto& [weights, z, mixed] = sides.of[blockIdx.z];
  const Run run = run_at(rows, blockIdx.x);
  if (run.sample < 0) return;
  const int64_t column0 = int64_t(blockIdx.y) * kTile;
  const int terms = run.image < 0 ? 0 : rows.terms;
  const Z* const from = z + int64_t(run.image < 0 ? 0 : run.image) * rows.terms * rows.rank;
  const auto weight = [&](int i, int64_t j) {
    return run.begin + i < run.end ? widened(weights[(run.begin + i) * rows.slots + j]) : 0.0f;
  };
  float sum[kOwn][kOwn] = {};
  add_product<H, true, false>(sum, terms, weight, [&](int c, int64_t j) {
    return column0 + c < rows.coordinates ? term_at(rows, from, j, column0 + c) : 0.0f;
  });
  for (int i = 0; i < kOwn; ++i)
    for (int j = 0; j < kOwn; ++j) {
      const int64_t token = run.begin + int(threadIdx.x) / kAcross * kOwn + i;
      const int64_t c = column0 + int(threadIdx.x) % kAcross * kOwn + j;
      if (token < run.end && c < rows.coordinates)
        mixed[token * rows.coordinates + c] = rounded<H>(rows.lambda * sum[i][j]);
    }
}

template <class H, class G>
struct TermSum {
  const H *weights, *projected;
  G* gradient;
};
template <class H, class G>
struct TermSums {
  TermSum<H, G> of[kSides];
  int images;
};

// dz_ij = lambda sum over the tokens of the image's samples, in order, of weight_tj projected_t.
template <class H, class G>
__global__ void visual_rows_term_sums_kernel(Rows rows, TermSums<H, G> sides) {
  const int64_t term0 = int64_t(blockIdx.x) * kTile, column0 = int64_t(blockIdx.y) * kTile;
  const auto& [weights, projected, gradient] = sides.of[int(blockIdx.z) / sides.images];
  const int image = int(blockIdx.z) % sides.images;
  float sum[kOwn][kOwn] = {};
  for (int s = 0; s < rows.samples; ++s) {
    if (rows.image_of[s] != image) continue;
    const int64_t begin = rows.offsets[s];
    add_product<H, false, false>(
        sum, rows.offsets[s + 1] - begin,
        [&](int j, int64_t t) {
          return term0 + j < rows.terms ? widened(weights[(begin + t) * rows.slots + term0 + j]) : 0.0f;
        },
        [&](int c, int64_t t) {
          return column0 + c < rows.rank ? widened(projected[(begin + t) * rows.coordinates + column0 + c])
                                         : 0.0f;
        });
  }
  for (int i = 0; i < kOwn; ++i)
    for (int j = 0; j < kOwn; ++j) {
      const int64_t term = term0 + int(threadIdx.x) / kAcross * kOwn + i;
      const int64_t c = column0 + int(threadIdx.x) % kAcross * kOwn + j;
      if (term < rows.terms && c < rows.rank)
        gradient[(image * int64_t(rows.terms) + term) * rows.rank + c] = rounded<G>(rows.lambda * sum[i][j]);
    }
}

dim3 grid_for(const Images& images, const Tensor& scores, int64_t columns) {
  return dim3(most_runs(scores.size(0), images.on_device.samples), tiles(columns));
}

template <class H, class Z>
void mix(const Images& images, const Tensor& scores, const Mixtures<H, Z>& sides) {
  if (!images.present()) return;
  dim3 grid = grid_for(images, scores, images.on_device.coordinates);
  grid.z = sides.of[1].mixed ? 2 : 1;
  launch({"visual_rows_mix"}, grid, dim3(kThreads), 0, images.stream(), visual_rows_mix_kernel<H, Z>,
         images.on_device, sides);
}

void forward(const Images& images, const Tensor& projected, const Tensor& scores, const Tensor& weights,
             const Tensor& mixed) {
  images.visit([&]<class H, class Z>(std::type_identity<H>, const Z* keys, const Z* values) {
    launch({"visual_rows_scores"}, grid_for(images, scores, images.on_device.slots), dim3(kThreads), 0,
           images.stream(), visual_rows_scores_kernel<H, Z>, images.on_device, data_of<const H>(projected),
           keys, scores.data<float>(), data_of<H>(weights));
    images.drop(weights);
    mix<H, Z>(images, scores, {{{data_of<const H>(weights), values, data_of<H>(mixed)}}});
  });
}

void backward(const Images& images, const Tensor& projected, const Tensor& scores, const Tensor& slopes,
              const Tensor& dscores, const Tensor& weights, const Tensor& mixed_keys,
              const Tensor& mixed_values) {
  images.visit([&]<class H, class Z>(std::type_identity<H>, const Z* keys, const Z* values) {
    launch({"visual_rows_score_slopes"}, grid_for(images, scores, images.on_device.slots), dim3(kThreads), 0,
           images.stream(), visual_rows_score_slopes_kernel<H, Z>, images.on_device,
           data_of<const H>(projected), values, data_of<const float>(scores), data_of<const float>(slopes),
           data_of<H>(dscores), data_of<H>(weights));
    images.drop(weights, dscores);
    mix<H, Z>(images, scores,
              {{{data_of<const H>(dscores), keys, data_of<H>(mixed_keys)},
                {data_of<const H>(weights), values, data_of<H>(mixed_values)}}});
  });
}

void terms(const Images& images, std::span<const TermGradient> wanted) {
  const Tensor& first = wanted[0].gradient;
  if (wanted.size() == 2 && wanted[1].gradient.dtype() != first.dtype()) {
    terms(images, wanted.first(1));
    return terms(images, wanted.last(1));
  }
  const int count = int(first.size(0));
  const dim3 grid(tiles(first.size(1)), tiles(first.size(2)), unsigned(count * int(wanted.size())));
  images.visit_gradient(first, [&]<class H, class G>(std::type_identity<H>, G*) {
    TermSums<H, G> sides{{}, count};
    for (size_t i = 0; i < wanted.size(); ++i)
      sides.of[i] = {data_of<const H>(wanted[i].along), data_of<const H>(wanted[i].of),
                     data_of<G>(wanted[i].gradient)};
    launch({"visual_rows_term_sums"}, grid, dim3(kThreads), 0, images.stream(),
           visual_rows_term_sums_kernel<H, G>, images.on_device, sides);
  });
}

constexpr VisualRowsMiddle kMiddle{forward, backward, terms};

const Provide<VisualRowsForward> provide_forward{
    {kKernelDevice},
    [](const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan, const Tensor& residual,
       const Tensor& output,
       const Tensor& scores) { visual_rows_forward(kMiddle, x, rows, plan, residual, output, scores); }};
const Provide<VisualRowsBackward> provide_backward{
    {kKernelDevice},
    [](const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan, const Tensor& scores,
       const Tensor& dy, const Tensor& dx, const VisualRowsTensors& grads) {
      visual_rows_backward(kMiddle, x, rows, plan, scores, dy, dx, grads);
    }};

}  // namespace
}  // namespace dehvf::cuda
