// The visual rows of a frozen FFN: n learned slots shared by all samples, the first N of which also carry
// image terms. One op with a hand-written gradient.
#pragma once

#include <array>
#include <optional>

#include "core/ops/dropout.h"
#include "core/ops/elementwise.h"

namespace dehvf {

/// What the rows are made of; also the shape of their gradients. With `basis` the rows are factored: a real
/// slot's image term is image_keys basis^T + bias. Without it they are materialised: image_keys is the term.
/// Everything about images may be empty where there are none.
struct VisualRowsTensors {
  Tensor slot_keys, slot_values;    // [n, width]; empty where the image terms alone are the rows, n = N
  Tensor image_keys, image_values;  // [images, N, rank] or, materialised, [images, N, width]; N <= n
  Tensor basis;                     // [width, rank], as a projector's second layer stores its weight
  Tensor bias;                      // [width]
  std::array<Tensor, 6> tensors() const {
    return {slot_keys, slot_values, image_keys, image_values, basis, bias};
  }
};

/// What is not differentiated.
struct VisualRowsPlan {
  Tensor sample_offsets;  // i32 [samples + 1]: sample s owns the tokens [offsets[s], offsets[s + 1])
  Tensor image_of;        // i32 [samples]: index of the sample's image, -1 where it has none
  double lambda = 0.01, scale = 0.1;
  std::optional<Activation> activation = Activation::silu;  // of the scores; none leaves them as they are
  DropoutSpec dropout;                                      // of the activated scores [tokens, n]
  double dropped = 0;  // share of each token's activated scores that becomes 0: the lowest (drop_lowest.h)
};

/// scores [tokens, n], before the activation, is what backward needs; output has x's dtype, and so has
/// residual where there is one.
struct VisualRowsForward
    : KernelTag<VisualRowsForward, void(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan&,
                                        const Tensor& residual, const Tensor& output, const Tensor& scores)> {
  static constexpr std::string_view name = "visual_rows_forward";
  static constexpr int launches = 6;  // where rows are factored and their products not cut
};
/// Writes those of dx and `grads` that are not empty, each of any float dtype; x is read for the gradients of
/// slot_keys, image_keys, basis and bias only.
struct VisualRowsBackward
    : KernelTag<VisualRowsBackward, void(const Tensor& x, const VisualRowsTensors& rows,
                                         const VisualRowsPlan&, const Tensor& scores, const Tensor& dy,
                                         const Tensor& dx, const VisualRowsTensors& grads)> {
  static constexpr std::string_view name = "visual_rows_backward";
  static constexpr int launches = 11;  // with all gradients
};

struct VisualRowsResult {
  Tensor output, scores;  // [tokens, width], what joins the FFN's output; [tokens, n] in f32 (f64)
};

/// x [tokens, width]. With m = 1 for the tokens of a sample with an image and 0 for the others, E the image
/// terms of its image, padded with zeros from N to n:
///   scores = x (slot_keys + m lambda E_k)^T
///   output = residual + scale drop_lowest(dropout(activation(scores))) (slot_values + m lambda E_v)
/// `residual`, like x, may be empty.
/// Throws ShapeError for N > n, for a sample without an image where there are no slots, and for whatever else
/// does not fit.
VisualRowsResult visual_rows(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan,
                             const Tensor& residual = {});
void visual_rows_into(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan,
                      const Tensor& residual, const VisualRowsResult& result);
void visual_rows_backward(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan,
                          const Tensor& scores, const Tensor& dy, const Tensor& dx,
                          const VisualRowsTensors& grads);

}  // namespace dehvf
