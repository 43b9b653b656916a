// The visual rows with one token a block between the products: every sum of cuda/kernels/visual_rows.cuh as
// it is written there.
#include "cuda/kernels/visual_rows.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kThreads = 128;

// projected . z'_j, for the term j of an image whose terms begin at `z`.
template <class H, class Z>
__device__ float image_term(const Rows& rows, const H* projected, const Z* z, int j) {
  float sum = 0;
  for (int r = 0; r < rows.coordinates; ++r) sum += widened(projected[r]) * term_at(rows, z, j, r);
  return sum;
}

// The terms of a token's image, or of the first one.
template <class Z>
__device__ const Z* terms_of(const Rows& rows, int image, const Z* z) {
  return z + int64_t(image < 0 ? 0 : image) * rows.terms * rows.rank;
}

// mixed_t = lambda sum over the terms of an image of weight_tj z'_j; zero for tokens without one. The weights
// of the token stand in global memory and are visible to the whole block.
template <class H, class Z>
__device__ void mix(const Rows& rows, int64_t token, int image, const H* weights, const Z* z, H* mixed) {
  const Z* const terms = terms_of(rows, image, z);
  const int used = image < 0 ? 0 : rows.terms;
  for (int r = int(threadIdx.x); r < rows.coordinates; r += kThreads) {
    float sum = 0;
    for (int j = 0; j < used; ++j) sum += widened(weights[j]) * term_at(rows, terms, j, r);
    mixed[token * rows.coordinates + r] = rounded<H>(rows.lambda * sum);
  }
}

// The mixture once more, of weights that were dropped behind the kernel that made them.
template <class H, class Z>
__global__ void visual_rows_mix_again_kernel(Rows rows, const H* weights, const Z* z, H* mixed) {
  const int64_t t = blockIdx.x;
  mix(rows, t, token_at(rows, t).image, weights + t * rows.slots, z, mixed);
}

// scores += the image's part, weights = a, mixed = M.
template <class H, class Z>
__global__ void visual_rows_middle_kernel(Rows rows, const H* projected, const Z* keys, const Z* values,
                                          float* scores, H* weights, H* mixed) {
  const int64_t t = blockIdx.x;
  const Token token = token_at(rows, t);
  const Z* const terms = terms_of(rows, token.image, keys);
  for (int j = int(threadIdx.x); j < rows.slots; j += kThreads) {
    float& score = scores[t * rows.slots + j];
    if (token.image >= 0 && j < rows.terms)
      score += rows.lambda * image_term(rows, projected + t * rows.coordinates, terms, j);
    const float factor = rows.scale * dropout_factor(rows, token, j);
    weights[t * rows.slots + j] = rounded<H>(factor == 0 ? 0.0f : factor * value_of(rows, score));
  }
  __syncthreads();
  if (mixed) mix(rows, t, token.image, weights + t * rows.slots, values, mixed);
}

// dscores = ds of slopes = dy slot_values^T; weights and both mixtures (K with the keys, M with the values)
// are made again.
template <class H, class Z>
__global__ void visual_rows_slopes_kernel(Rows rows, const H* projected, const Z* keys, const Z* values,
                                          const float* scores, const float* slopes, H* dscores, H* weights,
                                          H* mixed_keys, H* mixed_values) {
  const int64_t t = blockIdx.x;
  const Token token = token_at(rows, t);
  const Z* const terms = terms_of(rows, token.image, values);
  for (int j = int(threadIdx.x); j < rows.slots; j += kThreads) {
    const int64_t at = t * rows.slots + j;
    float slope = slopes[at];
    if (token.image >= 0 && j < rows.terms)
      slope += rows.lambda * image_term(rows, projected + t * rows.coordinates, terms, j);
    const float factor = rows.scale * dropout_factor(rows, token, j), score = scores[at];
    dscores[at] = rounded<H>(factor == 0 ? 0.0f : factor * slope * slope_of(rows, score));
    weights[at] = rounded<H>(factor == 0 ? 0.0f : factor * value_of(rows, score));
  }
  __syncthreads();
  if (!mixed_keys) return;
  mix(rows, t, token.image, dscores + t * rows.slots, keys, mixed_keys);
  mix(rows, t, token.image, weights + t * rows.slots, values, mixed_values);
}

// dz_ij = lambda sum over the tokens of the image's samples, in order, of weight_tj projected_t. A block owns
// one term of one image, each thread every blockDim-th column.
template <class H, class G>
__global__ void visual_rows_terms_kernel(Rows rows, const H* weights, const H* projected, G* gradient) {
  const int image = int(blockIdx.y), j = int(blockIdx.x);
  for (int r = int(threadIdx.x); r < rows.rank; r += kThreads) {
    float sum = 0;
    for (int s = 0; s < rows.samples; ++s)
      if (rows.image_of[s] == image)
        for (int64_t t = rows.offsets[s]; t < rows.offsets[s + 1]; ++t)
          sum += widened(weights[t * rows.slots + j]) * widened(projected[t * rows.coordinates + r]);
    gradient[(int64_t(image) * rows.terms + j) * rows.rank + r] = rounded<G>(rows.lambda * sum);
  }
}

dim3 blocks_for(const Tensor& scores) { return dim3(unsigned(scores.size(0))); }

template <class H, class Z>
void mix_again(const Images& images, const Tensor& weights, const Z* z, const Tensor& mixed) {
  if (!images.present()) return;
  launch({"visual_rows_mix_again"}, blocks_for(weights), dim3(kThreads), 0, images.stream(),
         visual_rows_mix_again_kernel<H, Z>, images.on_device, data_of<const H>(weights), z,
         data_of<H>(mixed));
}

void forward(const Images& images, const Tensor& projected, const Tensor& scores, const Tensor& weights,
             const Tensor& mixed) {
  images.visit([&]<class H, class Z>(std::type_identity<H>, const Z* keys, const Z* values) {
    launch({"visual_rows_middle"}, blocks_for(scores), dim3(kThreads), 0, images.stream(),
           visual_rows_middle_kernel<H, Z>, images.on_device, data_of<const H>(projected), keys, values,
           scores.data<float>(), data_of<H>(weights), data_of<H>(mixed));
    if (images.drop(weights)) mix_again<H>(images, weights, values, mixed);
  });
}

void backward(const Images& images, const Tensor& projected, const Tensor& scores, const Tensor& slopes,
              const Tensor& dscores, const Tensor& weights, const Tensor& mixed_keys,
              const Tensor& mixed_values) {
  images.visit([&]<class H, class Z>(std::type_identity<H>, const Z* keys, const Z* values) {
    launch({"visual_rows_slopes"}, blocks_for(scores), dim3(kThreads), 0, images.stream(),
           visual_rows_slopes_kernel<H, Z>, images.on_device, data_of<const H>(projected), keys, values,
           data_of<const float>(scores), data_of<const float>(slopes), data_of<H>(dscores),
           data_of<H>(weights), data_of<H>(mixed_keys), data_of<H>(mixed_values));
    if (!images.drop(weights, dscores)) return;
    mix_again<H>(images, dscores, keys, mixed_keys);
    mix_again<H>(images, weights, values, mixed_values);
  });
}

void terms(const Images& images, std::span<const TermGradient> wanted) {
  for (const auto& [along, of, gradient] : wanted)
    images.visit_gradient(gradient, [&]<class H, class G>(std::type_identity<H>, G* to) {
      launch({"visual_rows_terms"}, dim3(unsigned(gradient.size(1)), unsigned(gradient.size(0))),
             dim3(kThreads), 0, images.stream(), visual_rows_terms_kernel<H, G>, images.on_device,
             data_of<const H>(along), data_of<const H>(of), to);
    });
}

constexpr VisualRowsMiddle kMiddle{forward, backward, terms};

const Provide<VisualRowsForward> provide_forward{
    {kKernelDevice, "naive"},
    [](const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan, const Tensor& residual,
       const Tensor& output,
       const Tensor& scores) { visual_rows_forward(kMiddle, x, rows, plan, residual, output, scores); }};
const Provide<VisualRowsBackward> provide_backward{
    {kKernelDevice, "naive"},
    [](const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan, const Tensor& scores,
       const Tensor& dy, const Tensor& dx, const VisualRowsTensors& grads) {
      visual_rows_backward(kMiddle, x, rows, plan, scores, dy, dx, grads);
    }};

}  // namespace
}  // namespace dehvf::cuda
