// What the variants of the visual rows share: the rows as kernels see them, and all products of whole
// matrices around their kernels. B = [basis | bias | zeros]^T has a row for each coordinate of an image term
// z' = [z | 1 | 0]; in these coordinates a token t of a sample with an image sees
//   s_tj = x_t . slot_key_j + lambda P_t . z'_kj   (image term for j < N)           P = x B^T
//   a_tj = scale mask f(s_tj)
//   y_t  = sum_j a_tj slot_value_j + M_t B                                          M_t = lambda sum_(j < N)
//   a_tj z'_vj
// Rows that are written out have no basis: then P = x, z' = z is the term and M is added as it is. Backward
// is alike:
//   ds_tj = f'(s_tj) scale mask (dy_t . slot_value_j + lambda Q_t . z'_vj)          Q = dy B^T
//   dx = ds slot_keys + K B                                                         K_t = lambda sum_(j < N)
//   ds_tj z'_kj dslot_keys = ds^T x, dslot_values = a^T dy, dB = K^T x + M^T dy dz_k = lambda ds_N^T P, dz_v
//   = lambda a_N^T Q, over the samples of an image in their order
// Scores and sums are f32. What is multiplied again (B, P, Q, a, ds, K, M) is held in the 16 bits of the
// activations where all rows have them too, so that every product of whole matrices is one of the tensor
// cores; else in f32.
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
  int coordinates;  // of z', P and M: rank, or more where there is a basis
  float lambda, scale;
  bool activates;
  Activation activation;
  bool drops;
  DropoutDraw draw;
};

/// Coordinate r of z'_j, of an image whose terms begin at `z`.
template <class Z>
__device__ float term_at(const Rows& rows, const Z* z, int64_t j, int64_t r) {
  return r < rows.rank ? widened(z[j * rows.rank + r]) : r == rows.rank ? 1.0f : 0.0f;
}

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

template <class T>
T* data_of(const Tensor& x) {
  return x ? static_cast<T*>(x.raw()) : nullptr;
}

/// B of `basis` and `bias`; the gradients of either, where it is not empty, from that of B in f32.
void pack_basis(const Tensor& basis, const Tensor& bias, const Tensor& packed);
void unpack_basis(const Tensor& packed, int64_t rank, const Tensor& basis, const Tensor& bias);

/// The image terms, and what to do with them outside of kernels.
class Images {
 public:
  /// `x` is a layer's input or the gradient of its output.
  Images(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan);

  bool present() const { return present_; }
  Stream stream() const { return current_stream(device_); }

  Tensor held(const Shape& shape) const { return Tensor(shape, held_, device_); }
  /// Empty where there is no image.
  Tensor mixture(int64_t tokens) const { return present_ ? held({tokens, on_device.coordinates}) : Tensor(); }
  Tensor project(const Tensor& x) const;
  /// sum = residual + along slots + mixed B; residual may be empty, mixed is used up.
  void add_up(const Tensor& along, const Tensor& slots, const Tensor& mixed, const Tensor& residual,
              const Tensor& sum) const;
  /// The gradients of basis and bias, whichever is wanted.
  void shared_gradients(const Tensor& x, const Tensor& mixed_keys, const Tensor& dy,
                        const Tensor& mixed_values, const VisualRowsTensors& grads) const;

  /// Zeros, in `weights`, what the plan drops of them, and its slopes where they are given; false where it
  /// drops nothing.
  bool drop(const Tensor& weights, const Tensor& slopes = {}) const;

  /// Calls fn(std::type_identity<H>, keys, values): H is what is held, keys and values point to the terms'
  /// elements, which are of it too unless it is f32.
  template <class Fn>
  void visit(const Fn& fn) const {
    visit_element("visual_rows", held_, [&]<class H>(std::type_identity<H> held) {
      const auto with = [&]<class Z>(std::type_identity<Z>) {
        const auto of = [](const Tensor& x) { return x ? static_cast<const Z*>(x.raw()) : nullptr; };
        fn(held, of(rows_.image_keys), of(rows_.image_values));
      };
      if constexpr (std::is_same_v<H, float>)
        visit_element("visual_rows", present_ ? rows_.image_keys.dtype() : DType::f32, with);
      else
        with(held);
    });
  }

  /// Calls fn(std::type_identity<H>, data) for the gradient of the terms, of whatever dtype.
  template <class Fn>
  void visit_gradient(const Tensor& gradient, const Fn& fn) const {
    visit_element("visual_rows", held_, [&](auto held) {
      visit_element("visual_rows", gradient.dtype(),
                    [&]<class G>(std::type_identity<G>) { fn(held, data_of<G>(gradient)); });
    });
  }

  Rows on_device;

 private:
  const VisualRowsTensors& rows_;
  bool present_;
  double dropped_;
  Device device_;
  DType held_;
  Tensor basis_;  // B
};

/// gradient [images, N, rank] = lambda along_N^T of
struct TermGradient {
  Tensor along, of, gradient;
};

/// What a variant writes by hand: what happens for each token between the products. Mixtures and projected
/// matrices are empty where there is no image.
struct VisualRowsMiddle {
  /// scores += the images' part, weights = a, mixed = M.
  void (*forward)(const Images& images, const Tensor& projected, const Tensor& scores, const Tensor& weights,
                  const Tensor& mixed);
  /// slopes are dy slot_values^T; dscores = ds, weights = a, mixed_keys = K, mixed_values = M.
  void (*backward)(const Images& images, const Tensor& projected, const Tensor& scores, const Tensor& slopes,
                   const Tensor& dscores, const Tensor& weights, const Tensor& mixed_keys,
                   const Tensor& mixed_values);
  /// At most two, of the keys and of the values.
  void (*terms)(const Images& images, std::span<const TermGradient> wanted);
};

void visual_rows_forward(const VisualRowsMiddle& middle, const Tensor& x, const VisualRowsTensors& rows,
                         const VisualRowsPlan& plan, const Tensor& residual, const Tensor& output,
                         const Tensor& scores);
void visual_rows_backward(const VisualRowsMiddle& middle, const Tensor& x, const VisualRowsTensors& rows,
                          const VisualRowsPlan& plan, const Tensor& scores, const Tensor& dy,
                          const Tensor& dx, const VisualRowsTensors& grads);

}  // namespace dehvf::cuda
