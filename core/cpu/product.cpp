// One product a term; an epilogue is the ops it stands for, in the dtype of the sums, and one rounding.
#include "core/ops/product.h"

namespace dehvf::cpu {
namespace {

void finish(const Tensor& sum, const Tensor& times, const ProductOutput& output) {
  const Epilogue& e = output.epilogue;
  const DType wide = sum.dtype();
  const auto scaled = [&](const Tensor& x) { return e.scale == 1 ? x : scale(x, e.scale); };
  const auto rounded = [](const Tensor& x, const Tensor& into) { run<Cast>(DeviceKind::cpu, x, into); };
  Tensor y = scaled(sum);
  if (e.bias) y = add_row(y, cast(e.bias, wide));
  if (e.before) rounded(y, e.before);
  if (e.activation) y = activate(y, *e.activation);
  if (times) {
    const Tensor factor = scaled(times);
    if (e.factor) rounded(factor, e.factor);
    y = multiply(y, factor);
  }
  if (e.residual) y = add(y, cast(e.residual, wide));
  rounded(y, output.c);
}

void product(std::span<const ProductOutput> outputs, bool transpose_b) {
  product_by_terms(outputs, transpose_b, finish);
}

const Provide<Product> provide_product{{DeviceKind::cpu}, product};

}  // namespace
}  // namespace dehvf::cpu
