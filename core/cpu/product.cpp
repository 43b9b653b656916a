// One product a term; an epilogue is the ops it stands for, in the dtype of the sums, and one rounding.
#include "core/ops/product.h"

namespace dehvf::cpu {
namespace {

// In place: the sums are nobody else's.
void finish(const Tensor& y, const Tensor& times, const ProductOutput& output) {
  const Epilogue& e = output.epilogue;
  const DType wide = y.dtype();
  constexpr DeviceKind kHere = DeviceKind::cpu;
  const auto scale = [&](const Tensor& x) {
    if (e.scale != 1) run<Scale>(kHere, x, e.scale, x);
  };
  const auto rounded = [](const Tensor& x, const Tensor& into) {
    if (x.raw() != into.raw()) run<Cast>(kHere, x, into);
  };
  scale(y);
  if (e.bias) run<AddRow>(kHere, y, cast(e.bias, wide), y);
  if (e.before) rounded(y, e.before);
  if (e.activation) run<Activate>(kHere, y, *e.activation, y);
  if (times) {
    scale(times);
    if (e.factor) rounded(times, e.factor);
    run<Multiply>(kHere, y, times, y);
  }
  if (e.residual) run<Add>(kHere, y, cast(e.residual, wide), 1.0, y);
  rounded(y, output.c);
}

void product(std::span<const ProductOutput> outputs, ProductOrder order) {
  product_by_terms(outputs, order, finish);
}

const Provide<Product> provide_product{{DeviceKind::cpu}, product};

}  // namespace
}  // namespace dehvf::cpu
