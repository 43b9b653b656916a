// Products whose operands stand in several places: terms along k that add up to one output, and outputs
// beside each other. Nothing is concatenated in memory.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/kernel.h"
#include "core/ops/elementwise.h"
#include "core/tensor.h"

namespace dehvf {

struct ProductTerm {
  Tensor a, b;  // [m, k] and [k, n], or as ProductOrder says
};

/// How all terms are stored.
struct ProductOrder {
  bool transpose_a = false;  // a is [k, m], as activations stand in the gradient of a weight
  bool transpose_b = false;  // b is [n, k], as linear layers store their weight
};

/// What becomes of an output's sum before it is rounded, of which any part may be empty:
///   c = activation(scale sum + bias) (scale times) + residual
struct Epilogue {
  double scale = 1;
  Tensor bias;                           // [n], like c
  std::optional<Activation> activation;  // none leaves it as it is
  std::vector<ProductTerm> times;        // a second sum: the gated half of SwiGLU
  Tensor residual;                       // [m, n], like c; may be c
  Tensor before, factor;  // like c: receive what the activation took and the second sum, for a backward pass

  bool empty() const {
    return scale == 1 && !bias && !activation && times.empty() && !residual && !before && !factor;
  }
};

/// c [m, n] = the sum of its terms, of which each has its own k.
struct ProductOutput {
  std::vector<ProductTerm> terms;
  Tensor c;
  Epilogue epilogue = {};
  std::vector<Tensor> tensors() const;
};

struct Product : KernelTag<Product, void(std::span<const ProductOutput> outputs, ProductOrder order)> {
  static constexpr std::string_view name = "product";
};

/// All outputs share m and the device. Dtypes are free; where a
/// kernel does the terms one after the other, each is rounded to c's. Throws ShapeError, DTypeError.
void product_into(std::span<const ProductOutput> outputs, ProductOrder order);

/// Does an output's epilogue on its sums [m, n], of c's dtype or f32; `times` is empty where it has none.
using FinishProduct = void (*)(const Tensor& sum, const Tensor& times, const ProductOutput& output);

/// The same by one matmul a term: what kernels turn to, and the CPU's own way. Sums that go to `finish` are
/// f32 (f64 for f64), and stand in c where that is its dtype and c is no residual.
void product_by_terms(std::span<const ProductOutput> outputs, ProductOrder order, FinishProduct finish);

}  // namespace dehvf
