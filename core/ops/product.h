// Products whose operands stand in several places: terms along k that add up to one output, and outputs
// beside each other. Nothing is concatenated in memory.
#pragma once

#include <span>
#include <vector>

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

struct ProductTerm {
  Tensor a, b;  // a [m, k]; b [n, k] as linear layers store their weight, or [k, n]
};

/// c [m, n] = the sum of its terms, of which each has its own k.
struct ProductOutput {
  std::vector<ProductTerm> terms;
  Tensor c;
};

struct Product : KernelTag<Product, void(std::span<const ProductOutput> outputs, bool transpose_b)> {
  static constexpr std::string_view name = "product";
};

/// All outputs share m and the device. `transpose_b`: every b is stored [n, k]. Dtypes are free; where a
/// kernel does the terms one after the other, each is rounded to c's. Throws ShapeError.
void product_into(std::span<const ProductOutput> outputs, bool transpose_b);

/// The same by one matmul a term: what kernels turn to, and the CPU's own way.
void product_by_terms(std::span<const ProductOutput> outputs, bool transpose_b);

}  // namespace dehvf
