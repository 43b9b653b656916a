// The visual rows with one token a block between the products: every sum of cuda/kernels/visual_rows.cuh as
// it is written there.
#include "cuda/kernels/visual_rows.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kThreads = 128;

// projected . z'_j, for the term j of an image.
template <class Z>
__device__ float image_term(const Rows& rows, const float* projected, const float* column, const Z* z) {
  float sum = 0;
  for (int r = 0; r < rows.rank; ++r) sum += projected[r] * widened(z[r]);
  return rows.factored ? sum + *column : sum;
}

// mixed_t = sum over the terms of an image of weight_tj z'_j; zero for tokens without one. The weights of the
// token stand in global memory and are visible to the whole block.
template <class Z>
__device__ void mix(const Rows& rows, int64_t token, int image, const float* weights, const Z* z,
                    float* mixed, float* column) {
  const Z* const terms = z + int64_t(image < 0 ? 0 : image) * rows.terms * rows.rank;
  const int used = image < 0 ? 0 : rows.terms;
  for (int r = int(threadIdx.x); r < rows.rank; r += kThreads) {
    float sum = 0;
    for (int j = 0; j < used; ++j) sum += weights[j] * widened(terms[int64_t(j) * rows.rank + r]);
    mixed[token * rows.rank + r] = sum;
  }
  if (rows.factored && threadIdx.x == 0) {
    float sum = 0;
    for (int j = 0; j < used; ++j) sum += weights[j];
    column[token] = sum;
  }
}

// The mixture once more, of weights that were dropped behind the kernel that made them.
template <class Z>
__global__ void visual_rows_mix_again_kernel(Rows rows, const float* weights, const Z* z, float* mixed,
                                             float* column) {
  const int64_t t = blockIdx.x;
  mix(rows, t, token_at(rows, t).image, weights + t * rows.slots, z, mixed, column);
}

// scores += the image's part, weights = mask f(scores), mixed = M.
template <class Z>
__global__ void visual_rows_middle_kernel(Rows rows, const float* projected, const float* projected_column,
                                          const Z* keys, const Z* values, float* scores, float* weights,
                                          float* mixed, float* mixed_column) {
  const int64_t t = blockIdx.x;
  const Token token = token_at(rows, t);
  const Z* const terms = keys + int64_t(token.image < 0 ? 0 : token.image) * rows.terms * rows.rank;
  for (int j = int(threadIdx.x); j < rows.slots; j += kThreads) {
    float& score = scores[t * rows.slots + j];
    if (token.image >= 0 && j < rows.terms)
      score += rows.lambda * image_term(rows, projected + t * rows.rank, projected_column + t,
                                        terms + int64_t(j) * rows.rank);
    const float factor = dropout_factor(rows, token, j);
    weights[t * rows.slots + j] = factor == 0 ? 0.0f : factor * value_of(rows, score);
  }
  __syncthreads();
  if (mixed) mix(rows, t, token.image, weights + t * rows.slots, values, mixed, mixed_column);
}

// slopes hold dy slot_values^T and become ds; weights and both mixtures (K with the keys, M with the values)
// are made again.
template <class Z>
__global__ void visual_rows_slopes_kernel(Rows rows, const float* projected, const float* projected_column,
                                          const Z* keys, const Z* values, const float* scores, float* slopes,
                                          float* weights, float* mixed_keys, float* mixed_keys_column,
                                          float* mixed_values, float* mixed_values_column) {
  const int64_t t = blockIdx.x;
  const Token token = token_at(rows, t);
  const Z* const terms = values + int64_t(token.image < 0 ? 0 : token.image) * rows.terms * rows.rank;
  for (int j = int(threadIdx.x); j < rows.slots; j += kThreads) {
    const int64_t at = t * rows.slots + j;
    float slope = slopes[at];
    if (token.image >= 0 && j < rows.terms)
      slope += rows.lambda * image_term(rows, projected + t * rows.rank, projected_column + t,
                                        terms + int64_t(j) * rows.rank);
    const float factor = dropout_factor(rows, token, j), score = scores[at];
    slopes[at] = factor == 0 ? 0.0f : factor * rows.scale * slope * slope_of(rows, score);
    weights[at] = factor == 0 ? 0.0f : factor * value_of(rows, score);
  }
  __syncthreads();
  if (!mixed_keys) return;
  mix(rows, t, token.image, slopes + t * rows.slots, keys, mixed_keys, mixed_keys_column);
  mix(rows, t, token.image, weights + t * rows.slots, values, mixed_values, mixed_values_column);
}

// dz_ij = factor sum over the tokens of the image's samples, in order, of weight_tj projected_t. A block owns
// one term of one image, each thread every blockDim-th column.
__global__ void visual_rows_terms_kernel(Rows rows, const float* weights, const float* projected,
                                         float factor, float* gradient) {
  const int image = int(blockIdx.y), j = int(blockIdx.x);
  for (int r = int(threadIdx.x); r < rows.rank; r += kThreads) {
    float sum = 0;
    for (int s = 0; s < rows.samples; ++s)
      if (rows.image_of[s] == image)
        for (int64_t t = rows.offsets[s]; t < rows.offsets[s + 1]; ++t)
          sum += weights[t * rows.slots + j] * projected[t * rows.rank + r];
    gradient[(int64_t(image) * rows.terms + j) * rows.rank + r] = factor * sum;
  }
}

dim3 blocks_for(const Tensor& scores) { return dim3(unsigned(scores.size(0))); }

template <class Z>
void mix_again(const Images& images, const Tensor& weights, const Z* z, const Coordinates& mixed) {
  if (!images.present()) return;
  launch({"visual_rows_mix_again"}, blocks_for(weights), dim3(kThreads), 0, images.stream(),
         visual_rows_mix_again_kernel<Z>, images.on_device, weights.data<float>(), z, data_of(mixed.matrix),
         data_of(mixed.column));
}

void forward(const Images& images, const Coordinates& projected, const Tensor& scores, const Tensor& weights,
             const Coordinates& mixed) {
  images.visit([&]<class Z>(const Z* keys, const Z* values) {
    launch({"visual_rows_middle"}, blocks_for(scores), dim3(kThreads), 0, images.stream(),
           visual_rows_middle_kernel<Z>, images.on_device, data_of(projected.matrix),
           data_of(projected.column), keys, values, scores.data<float>(), weights.data<float>(),
           data_of(mixed.matrix), data_of(mixed.column));
    if (images.drop(weights)) mix_again(images, weights, values, mixed);
  });
}

void backward(const Images& images, const Coordinates& projected, const Tensor& scores, const Tensor& slopes,
              const Tensor& weights, const Coordinates& mixed_keys, const Coordinates& mixed_values) {
  images.visit([&]<class Z>(const Z* keys, const Z* values) {
    launch({"visual_rows_slopes"}, blocks_for(scores), dim3(kThreads), 0, images.stream(),
           visual_rows_slopes_kernel<Z>, images.on_device, data_of(projected.matrix),
           data_of(projected.column), keys, values, scores.data<float>(), slopes.data<float>(),
           weights.data<float>(), data_of(mixed_keys.matrix), data_of(mixed_keys.column),
           data_of(mixed_values.matrix), data_of(mixed_values.column));
    if (!images.drop(weights, slopes)) return;
    mix_again(images, slopes, keys, mixed_keys);
    mix_again(images, weights, values, mixed_values);
  });
}

void terms(const Images& images, const Tensor& along, const Tensor& of, double factor,
           const Tensor& gradient) {
  launch({"visual_rows_terms"}, dim3(unsigned(gradient.size(1)), unsigned(gradient.size(0))), dim3(kThreads),
         0, images.stream(), visual_rows_terms_kernel, images.on_device, along.data<float>(),
         of.data<float>(), float(factor), gradient.data<float>());
}

constexpr VisualRowsMiddle kMiddle{forward, backward, terms};

const Provide<VisualRowsForward> provide_forward{
    {kKernelDevice, "naive"},
    [](const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan, const Tensor& output,
       const Tensor& scores) { visual_rows_forward(kMiddle, x, rows, plan, output, scores); }};
const Provide<VisualRowsBackward> provide_backward{
    {kKernelDevice, "naive"},
    [](const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan, const Tensor& scores,
       const Tensor& dy, const Tensor& dx, const VisualRowsTensors& grads) {
      visual_rows_backward(kMiddle, x, rows, plan, scores, dy, dx, grads);
    }};

}  // namespace
}  // namespace dehvf::cuda
