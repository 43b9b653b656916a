// Softmax over the last axis.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

struct Softmax : KernelTag<Softmax, void(const Tensor& x, const Tensor& y)> {
  static constexpr std::string_view name = "softmax";
};
struct SoftmaxBackward
    : KernelTag<SoftmaxBackward, void(const Tensor& y, const Tensor& dy, const Tensor& dx)> {
  static constexpr std::string_view name = "softmax_backward";
};

Tensor softmax(
    const Tensor& x);  // each row of x [..., width] sums to 1; the largest entry is subtracted first
Tensor softmax_backward(const Tensor& y, const Tensor& dy);  // y (dy - sum(y dy)), y being softmax's result

}  // namespace dehvf
