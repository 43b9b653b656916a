// Differentiable products. A frozen operand costs nothing here: its gradient is not formed, and the
// activation that only its gradient would need is not kept.
#pragma once

#include <optional>
#include <vector>

#include "autograd/tape.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"

namespace dehvf {

Variable linear(const Variable& x, const Variable& weight);  // x [..., in], weight [out, in]
Variable linear(const Variable& x, const Variable& weight, const Variable& bias);  // bias [out]; may be empty

/// What linear() does to its product before it is rounded: activation(scale x weight^T + bias) + residual.
struct LinearEpilogue {
  double scale = 1;
  Variable bias = {};  // [out]
  std::optional<Activation> activation = {};
  Variable residual = {};  // like the result
};

/// One product; of an activation it keeps what that took.
Variable linear(const Variable& x, const Variable& weight, const LinearEpilogue& with);

/// silu(x gate^T) (x up^T) by one product.
Variable swiglu(const Variable& x, const Variable& gate, const Variable& up);

/// What is added to a weight [out, in]: scale up down, of low rank.
struct LowRank {
  Variable down, up;  // [rank, in], [out, rank]
  double scale = 1;
};

/// x (weight + scale up down)^T, of which no sum of weights is ever formed.
Variable linear(const Variable& x, const Variable& weight, const LowRank& added);

/// One of several maps of x: a weight, what is added to it (nothing where `added` has no matrices), a bias
/// [out], which may be empty.
struct LinearMap {
  Variable weight;
  LowRank added = {};
  Variable bias = {};
};

/// x through several maps: one result each, all by one product, as is the gradient of x.
std::vector<Variable> linears(const Variable& x, const std::vector<LinearMap>& maps);

Variable matmul(const Variable& a, const Variable& b,
                bool transpose_b = false);  // matrices, or batches of them

}  // namespace dehvf
