// Products of matrices, in f32 accumulation (f64 for f64).
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

struct MatmulOptions {
  bool transpose_a = false;  // a is stored [k, m]
  bool transpose_b = false;  // b is stored [n, k], as linear layers store their weight
  double alpha = 1;
  bool accumulate = false;  // c += instead of c =
};

struct Matmul
    : KernelTag<Matmul, void(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions&)> {
  static constexpr std::string_view name = "matmul";
};

/// c = alpha a b, for a [m, k] and b [k, n] or batches of them [batch, ...]. b may be of another dtype than
/// a; the result has a's. Throws ShapeError when the inner sizes differ.
Tensor matmul(const Tensor& a, const Tensor& b, const MatmulOptions& options = {});
void matmul_into(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options = {});

/// x [..., in] with a weight [out, in] -> [..., out].
Tensor linear(const Tensor& x, const Tensor& weight);

}  // namespace dehvf
