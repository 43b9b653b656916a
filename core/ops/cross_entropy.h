// Cross entropy behind a head, without ever holding the logits of more than a block of rows.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

struct CrossEntropy : KernelTag<CrossEntropy, void(const Tensor& hidden, const Tensor& head,
                                                   const Tensor& targets, const Tensor& losses)> {
  static constexpr std::string_view name = "cross_entropy";
};
/// dhidden or dhead may be empty. dhead is written, not added to.
struct CrossEntropyBackward
    : KernelTag<CrossEntropyBackward,
                void(const Tensor& hidden, const Tensor& head, const Tensor& targets, const Tensor& dlosses,
                     const Tensor& dhidden, const Tensor& dhead)> {
  static constexpr std::string_view name = "cross_entropy_backward";
};

/// losses[i] = log(sum_v exp(hidden_i . head_v)) - hidden_i . head_target_i for hidden [rows, width], head
/// [vocab, width], targets i32 [rows]; losses in the statistics dtype. A row of kNoTarget has no loss and no
/// gradient; any other target outside the vocabulary is a ShapeError.
inline constexpr int32_t kNoTarget = -1;
Tensor cross_entropy(const Tensor& hidden, const Tensor& head, const Tensor& targets);
void cross_entropy_backward(const Tensor& hidden, const Tensor& head, const Tensor& targets,
                            const Tensor& dlosses, const Tensor& dhidden, const Tensor& dhead);

/// Index of the largest element of every row, i32 [rows]; of equals the first.
struct ArgmaxRows : KernelTag<ArgmaxRows, void(const Tensor& x, const Tensor& index)> {
  static constexpr std::string_view name = "argmax_rows";
};
Tensor argmax_rows(const Tensor& x);

}  // namespace dehvf
