#include "core/ops/product.h"

#include "core/ops/check.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"

namespace dehvf {
namespace {

void check_term(const ProductTerm& term, const Tensor& c, bool transpose_b) {
  check_float("product", "a", term.a);
  check_float("product", "b", term.b);
  require(term.a.shape().rank() == 2 && term.b.shape().rank() == 2, "product: wanted matrices, found ",
          term.a.shape(), " and ", term.b.shape());
  const int64_t k = term.a.size(1);
  const Shape wanted = transpose_b ? Shape{c.size(1), k} : Shape{k, c.size(1)};
  require(term.a.size(0) == c.size(0) && term.b.shape() == wanted, "product: a is ", term.a.shape(),
          ", b is ", term.b.shape(), transpose_b ? " transposed" : "", ", c is ", c.shape());
  require<DeviceError>(term.a.device() == c.device() && term.b.device() == c.device(), "product: a is on ",
                       term.a.device(), ", b on ", term.b.device(), ", c on ", c.device());
}

}  // namespace

void product_into(std::span<const ProductOutput> outputs, bool transpose_b) {
  if (outputs.empty()) return;
  for (const ProductOutput& output : outputs) {
    check_float("product", "c", output.c);
    require(output.c.shape().rank() == 2 && output.c.size(0) == outputs[0].c.size(0), "product: c is ",
            output.c.shape(), ", wanted [", outputs[0].c.size(0), ", n]");
    require<DeviceError>(output.c.device() == outputs[0].c.device(), "product: outputs on ",
                         outputs[0].c.device(), " and ", output.c.device());
    require(!output.terms.empty(), "product: an output without terms");
    for (const ProductTerm& term : output.terms) check_term(term, output.c, transpose_b);
  }
  run<Product>(outputs[0].c.device().kind, outputs, transpose_b);
}

void product_by_terms(std::span<const ProductOutput> outputs, bool transpose_b) {
  for (const auto& [terms, c] : outputs) {
    matmul_into(terms[0].a, terms[0].b, c, {.transpose_b = transpose_b});
    for (size_t i = 1; i < terms.size(); ++i) {
      const Tensor term(c.shape(), c.dtype(), c.device());
      matmul_into(terms[i].a, terms[i].b, term, {.transpose_b = transpose_b});
      add_into(term, c);
    }
  }
}

}  // namespace dehvf
