// The visual rows (core/ops/visual_rows.h) as products of whole matrices and one kernel between them.
//
// With P = [x basis | x . bias] and z' = [z | 1], the image term in the coordinates of `rank`, a token t of a
// sample with an image sees
//   s_tj = x_t . slot_key_j + lambda P_t . z'_kj        (image term for j < N)      a_tj = mask f(s_tj)
//   y_t  = scale (sum_j a_tj slot_value_j + lambda M_t [basis | bias]^T),           M_t = sum_(j < N) a_tj
//   z'_vj
// Rows that are written out have no basis: then P = x, z' = z is the term and M is added as it is. Backward
// is alike:
//   ds_tj = f'(s_tj) mask scale (dy_t . slot_value_j + lambda Q_t . z'_vj),         Q = [dy basis | dy .
//   bias] dx = ds slot_keys + lambda K [basis | bias]^T,                                  K_t = sum_(j < N)
//   ds_tj z'_kj dslot_keys = ds^T x, dslot_values = scale a^T dy, d[basis | bias] = lambda (x^T K + scale
//   dy^T M) dz_k = lambda ds_N^T P, dz_v = lambda scale a_N^T Q, over the samples of an image in their order
// What stands under 'P', 'M' ... are f32 matrices of the width `rank` and, where there is a basis, a column
// of their own.
#include "core/ops/matmul.h"
#include "core/ops/visual_rows.h"
#include "cuda/activation.cuh"
#include "cuda/dropout.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kThreads = 128;

// What all kernels need to know of the rows; z are the image terms of one side.
struct Rows {
  const int32_t *offsets, *image_of, *positions;  // positions may be null
  const int64_t* ids;
  int samples, slots, terms, rank;
  bool factored;
  float lambda, scale;
  Activation activation;
  bool drops;
  DropoutDraw draw;
};

// A token's place: its sample's image, or -1, and what names its dropout.
struct Token {
  int image;
  uint64_t id, key;
  uint32_t position;
};

__device__ Token token_at(const Rows& rows, int64_t token) {
  const int sample = sample_of(rows.offsets, rows.samples, token);
  Token found{rows.image_of[sample], 0, 0, 0};
  if (rows.drops) {
    found.id = uint64_t(rows.ids[sample]);
    found.key = dropout_key(rows.draw);
    found.position = uint32_t(rows.positions ? rows.positions[token] : int32_t(token - rows.offsets[sample]));
  }
  return found;
}

__device__ float dropout_factor(const Rows& rows, const Token& token, int slot) {
  if (!rows.drops) return 1;
  return dropout_factors(rows.draw, token.key, token.id, token.position, uint32_t(slot / 4)).of[slot % 4];
}

__device__ float value_of(const Rows& rows, float score) {
  return visit_activation(rows.activation, [&](auto kind) { return Activated<kind()>{}(score); });
}
__device__ float slope_of(const Rows& rows, float score) {
  return visit_activation(rows.activation, [&](auto kind) { return ActivationSlope<kind()>{}(score); });
}

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

float* data_of(const Tensor& x) { return x.defined() ? x.data<float>() : nullptr; }

// A matrix in the coordinates of the image terms: `rank` columns and, with a basis, the column that stands
// for the bias.
struct Coordinates {
  Tensor matrix, column;
};

class Images {
 public:
  Images(const VisualRowsTensors& rows, const VisualRowsPlan& plan, Device device)
      : rows_(rows), present_(rows.image_keys.defined() && rows.image_keys.count() > 0), device_(device) {
    const bool drops = plan.dropout.rate > 0;
    const auto integers = [](const Tensor& x) { return x.defined() ? x.data<int32_t>() : nullptr; };
    on_device = {integers(plan.sample_offsets),
                 integers(plan.image_of),
                 drops ? integers(plan.dropout.positions) : nullptr,
                 drops ? plan.dropout.sample_ids.data<int64_t>() : nullptr,
                 int(plan.image_of.count()),
                 int(rows.slot_keys.size(0)),
                 present_ ? int(rows.image_keys.size(1)) : 0,
                 present_ ? int(rows.image_keys.size(2)) : 0,
                 rows.basis.defined(),
                 float(plan.lambda),
                 float(plan.scale),
                 plan.activation,
                 drops,
                 drops ? dropout_draw(plan.dropout) : DropoutDraw{}};
  }

  bool present() const { return present_; }

  Coordinates empty(int64_t tokens) const {
    if (!present_) return {};
    return {Tensor({tokens, on_device.rank}, DType::f32, device_),
            on_device.factored ? Tensor({tokens, 1}, DType::f32, device_) : Tensor()};
  }

  // x [basis | bias], or x itself.
  Coordinates project(const Tensor& x) const {
    if (!present_) return {};
    if (!on_device.factored) return {cast(x, DType::f32), {}};
    const Coordinates result = empty(x.size(0));
    matmul_into(x, rows_.basis, result.matrix);
    matmul_into(x, bias_column(), result.column);
    return result;
  }

  // sum += factor mixed [basis | bias]^T
  void add_to(const Tensor& sum, const Coordinates& mixed, double factor) const {
    if (!present_) return;
    if (!on_device.factored) return add_into(mixed.matrix, sum, factor);
    matmul_into(mixed.matrix, rows_.basis, sum, {.transpose_b = true, .alpha = factor, .accumulate = true});
    matmul_into(mixed.column, bias_column(), sum, {.transpose_b = true, .alpha = factor, .accumulate = true});
  }

  // basis_grad += factor x^T mixed, and the same for the bias; whichever is wanted.
  void add_shared(const Tensor& x, const Coordinates& mixed, double factor, bool accumulate,
                  const VisualRowsTensors& grads) const {
    const MatmulOptions options{.transpose_a = true, .alpha = factor, .accumulate = accumulate};
    if (grads.basis) matmul_into(x, mixed.matrix, grads.basis, options);
    if (grads.bias) matmul_into(x, mixed.column, grads.bias.reshape({grads.bias.count(), 1}), options);
  }

  // Calls fn(keys, values) with pointers to the image terms' elements.
  template <class Fn>
  void visit(const Fn& fn) const {
    if (!present_) return fn(static_cast<const float*>(nullptr), static_cast<const float*>(nullptr));
    visit_element("visual_rows", rows_.image_keys.dtype(), [&]<class Z>(std::type_identity<Z>) {
      fn(static_cast<const Z*>(rows_.image_keys.raw()), static_cast<const Z*>(rows_.image_values.raw()));
    });
  }

  Rows on_device;

 private:
  Tensor bias_column() const { return rows_.bias.reshape({rows_.bias.count(), 1}); }

  const VisualRowsTensors& rows_;
  bool present_;
  Device device_;
};

void forward(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan, const Tensor& output,
             const Tensor& scores) {
  const int64_t tokens = x.size(0);
  const Images images(rows, plan, x.device());
  matmul_into(x, rows.slot_keys, scores, {.transpose_b = true});
  const Coordinates projected = images.project(x), mixed = images.empty(tokens);
  const Tensor weights(scores.shape(), DType::f32, x.device());
  images.visit([&]<class Z>(const Z* keys, const Z* values) {
    launch({"visual_rows_middle"}, dim3(unsigned(tokens)), dim3(kThreads), 0, current_stream(x.device()),
           visual_rows_middle_kernel<Z>, images.on_device, data_of(projected.matrix),
           data_of(projected.column), keys, values, scores.data<float>(), weights.data<float>(),
           data_of(mixed.matrix), data_of(mixed.column));
  });
  const Tensor sum = output.dtype() == DType::f32 ? output : Tensor(output.shape(), DType::f32, x.device());
  matmul_into(weights, rows.slot_values, sum, {.alpha = plan.scale});
  images.add_to(sum, mixed, plan.scale * plan.lambda);
  if (output.dtype() != DType::f32) run<Cast>(x.device().kind, sum, output);
}

void backward(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan,
              const Tensor& scores, const Tensor& dy, const Tensor& dx, const VisualRowsTensors& grads) {
  const int64_t tokens = dy.size(0);
  const Stream stream = current_stream(dy.device());
  const Images images(rows, plan, dy.device());
  const Tensor slopes(scores.shape(), DType::f32, dy.device()),
      weights(scores.shape(), DType::f32, dy.device());
  matmul_into(dy, rows.slot_values, slopes, {.transpose_b = true});
  const Coordinates projected = images.project(dy), mixed_keys = images.empty(tokens),
                    mixed_values = images.empty(tokens);
  images.visit([&]<class Z>(const Z* keys, const Z* values) {
    launch({"visual_rows_slopes"}, dim3(unsigned(tokens)), dim3(kThreads), 0, stream,
           visual_rows_slopes_kernel<Z>, images.on_device, data_of(projected.matrix),
           data_of(projected.column), keys, values, scores.data<float>(), slopes.data<float>(),
           weights.data<float>(), data_of(mixed_keys.matrix), data_of(mixed_keys.column),
           data_of(mixed_values.matrix), data_of(mixed_values.column));
  });
  if (dx) {
    matmul_into(slopes, rows.slot_keys, dx);
    images.add_to(dx, mixed_keys, plan.lambda);
  }
  if (grads.slot_keys) matmul_into(slopes, x, grads.slot_keys, {.transpose_a = true});
  if (grads.slot_values)
    matmul_into(weights, dy, grads.slot_values, {.transpose_a = true, .alpha = plan.scale});
  if (!images.present()) {
    for (const Tensor& grad : {grads.image_keys, grads.image_values, grads.basis, grads.bias})
      if (grad) fill(grad, 0);
    return;
  }
  const auto terms = [&](const Tensor& along, const Tensor& of, double factor, const Tensor& gradient) {
    launch({"visual_rows_terms"}, dim3(unsigned(gradient.size(1)), unsigned(gradient.size(0))),
           dim3(kThreads), 0, stream, visual_rows_terms_kernel, images.on_device, along.data<float>(),
           of.data<float>(), float(factor), gradient.data<float>());
  };
  if (grads.image_keys) terms(slopes, images.project(x).matrix, plan.lambda, grads.image_keys);
  if (grads.image_values) terms(weights, projected.matrix, plan.lambda * plan.scale, grads.image_values);
  if (grads.basis || grads.bias) {
    images.add_shared(x, mixed_keys, plan.lambda, false, grads);
    images.add_shared(dy, mixed_values, plan.lambda * plan.scale, true, grads);
  }
}

const Provide<VisualRowsForward> provide_forward{{kKernelDevice}, forward};
const Provide<VisualRowsBackward> provide_backward{{kKernelDevice}, backward};

}  // namespace
}  // namespace dehvf::cuda
