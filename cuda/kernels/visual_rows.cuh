// What the variants of the visual rows share: the rows as kernels see them, and all products of whole
// matrices around their kernels. With P = [x basis | x . bias] and z' = [z | 1], the image term in the
// coordinates of `rank`, a token t of a sample with an image sees
//   s_tj = x_t . slot_key_j + lambda P_t . z'_kj        (image term for j < N)      a_tj = mask f(s_tj)
//   y_t  = scale (sum_j a_tj slot_value_j + lambda M_t [basis | bias]^T)            M_t = sum_(j < N) a_tj
//   z'_vj
// Rows that are written out have no basis: then P = x, z' = z is the term and M is added as it is. Backward
// is alike:
//   ds_tj = f'(s_tj) mask scale (dy_t . slot_value_j + lambda Q_t . z'_vj)          Q = [dy basis | dy .
//   bias] dx = ds slot_keys + lambda K [basis | bias]^T                                   K_t = sum_(j < N)
//   ds_tj z'_kj dslot_keys = ds^T x, dslot_values = scale a^T dy, d[basis | bias] = lambda (x^T K + scale
//   dy^T M) dz_k = lambda ds_N^T P, dz_v = lambda scale a_N^T Q, over the samples of an image in their order
// What stands under P, Q, M and K are f32 matrices of the width `rank` and, where there is a basis, a column
// of their own.
#pragma once

#include "core/ops/drop_lowest.h"
#include "core/ops/matmul.h"
#include "core/ops/visual_rows.h"
#include "cuda/activation.cuh"
#include "cuda/dropout.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {

/// What kernels need to know of the rows.
struct Rows {
  const int32_t *offsets, *image_of, *positions;  // positions may be null
  const int64_t* ids;
  int samples, slots, terms, rank;
  bool factored;
  float lambda, scale;
  bool activates;
  Activation activation;
  bool drops;
  DropoutDraw draw;
};

/// A token's place: its sample's image, or -1, and what names its dropout.
struct Token {
  int image;
  uint64_t id, key;
  uint32_t position;
};

__device__ inline Token token_at(const Rows& rows, int64_t token) {
  const int sample = sample_of(rows.offsets, rows.samples, token);
  Token found{rows.image_of[sample], 0, 0, 0};
  if (rows.drops) {
    found.id = uint64_t(rows.ids[sample]);
    found.key = dropout_key(rows.draw);
    found.position = uint32_t(rows.positions ? rows.positions[token] : int32_t(token - rows.offsets[sample]));
  }
  return found;
}

__device__ inline float dropout_factor(const Rows& rows, const Token& token, int slot) {
  if (!rows.drops) return 1;
  return dropout_factors(rows.draw, token.key, token.id, token.position, uint32_t(slot / 4)).of[slot % 4];
}

__device__ inline float value_of(const Rows& rows, float score) {
  if (!rows.activates) return score;
  return visit_activation(rows.activation, [&](auto kind) { return Activated<kind()>{}(score); });
}
__device__ inline float slope_of(const Rows& rows, float score) {
  if (!rows.activates) return 1;
  return visit_activation(rows.activation, [&](auto kind) { return ActivationSlope<kind()>{}(score); });
}

inline float* data_of(const Tensor& x) { return x.defined() ? x.data<float>() : nullptr; }

/// A matrix in the coordinates of the image terms: `rank` columns and, with a basis, the column that stands
// for the bias.
struct Coordinates {
  Tensor matrix, column;
};

/// The image terms, and what to do with them outside of kernels.
class Images {
 public:
  Images(const VisualRowsTensors& rows, const VisualRowsPlan& plan, Device device)
      : rows_(rows),
        present_(rows.image_keys.defined() && rows.image_keys.count() > 0),
        dropped_(plan.dropped),
        device_(device) {
    const bool drops = plan.dropout.rate > 0;
    const auto integers = [](const Tensor& x) { return x.defined() ? x.data<int32_t>() : nullptr; };
    on_device = {integers(plan.sample_offsets),
                 integers(plan.image_of),
                 drops ? integers(plan.dropout.positions) : nullptr,
                 drops ? plan.dropout.sample_ids.data<int64_t>() : nullptr,
                 int(plan.image_of.count()),
                 int(rows.slot_keys.defined() ? rows.slot_keys.size(0) : rows.image_keys.size(1)),
                 present_ ? int(rows.image_keys.size(1)) : 0,
                 present_ ? int(rows.image_keys.size(2)) : 0,
                 rows.basis.defined(),
                 float(plan.lambda),
                 float(plan.scale),
                 plan.activation.has_value(),
                 plan.activation.value_or(Activation::silu),
                 drops,
                 drops ? dropout_draw(plan.dropout) : DropoutDraw{}};
  }

  bool present() const { return present_; }
  Stream stream() const { return current_stream(device_); }

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

  // Zeros, in `weights`, what the plan drops of them, and its slopes where they are given; false where it
  // drops nothing.
  bool drop(const Tensor& weights, const Tensor& slopes = {}) const {
    if (dropped_ == 0) return false;
    const DropLowestResult result = drop_lowest(weights, dropped_);
    copy_into(result.y, weights);
    if (slopes) copy_into(drop_lowest_backward(result.kept, slopes), slopes);
    return true;
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
  double dropped_;
  Device device_;
};

/// What a variant writes by hand: what happens for each token between the products.
struct VisualRowsMiddle {
  /// scores += the images' part, weights = a, mixed = M.
  void (*forward)(const Images& images, const Coordinates& projected, const Tensor& scores,
                  const Tensor& weights, const Coordinates& mixed);
  /// slopes hold dy slot_values^T and become ds; weights = a, mixed_keys = K, mixed_values = M.
  void (*backward)(const Images& images, const Coordinates& projected, const Tensor& scores,
                   const Tensor& slopes, const Tensor& weights, const Coordinates& mixed_keys,
                   const Coordinates& mixed_values);
  /// gradient [images, N, rank] = factor along_N^T of.
  void (*terms)(const Images& images, const Tensor& along, const Tensor& of, double factor,
                const Tensor& gradient);
};

void visual_rows_forward(const VisualRowsMiddle& middle, const Tensor& x, const VisualRowsTensors& rows,
                         const VisualRowsPlan& plan, const Tensor& output, const Tensor& scores);
void visual_rows_backward(const VisualRowsMiddle& middle, const Tensor& x, const VisualRowsTensors& rows,
                          const VisualRowsPlan& plan, const Tensor& scores, const Tensor& dy,
                          const Tensor& dx, const VisualRowsTensors& grads);

}  // namespace dehvf::cuda
