#include "core/ops/product.h"

#include "core/ops/check.h"
#include "core/ops/matmul.h"

namespace dehvf {
namespace {

int64_t depth_of(const ProductTerm& term, ProductOrder order) {
  return term.a.size(order.transpose_a ? 0 : 1);
}

void check_term(const ProductTerm& term, const Tensor& c, ProductOrder order) {
  check_float("product", "a", term.a);
  check_float("product", "b", term.b);
  require(term.a.shape().rank() == 2 && term.b.shape().rank() == 2, "product: wanted matrices, found ",
          term.a.shape(), " and ", term.b.shape());
  const int64_t m = term.a.size(order.transpose_a ? 1 : 0), k = depth_of(term, order);
  const Shape wanted = order.transpose_b ? Shape{c.size(1), k} : Shape{k, c.size(1)};
  require(m == c.size(0) && term.b.shape() == wanted, "product: a is ", term.a.shape(),
          order.transpose_a ? " transposed" : "", ", b is ", term.b.shape(),
          order.transpose_b ? " transposed" : "", ", c is ", c.shape());
  require<DeviceError>(term.a.device() == c.device() && term.b.device() == c.device(), "product: a is on ",
                       term.a.device(), ", b on ", term.b.device(), ", c on ", c.device());
}

void check_epilogue(const Epilogue& epilogue, const Tensor& c, ProductOrder order) {
  const auto like = [&](std::string_view name, const Tensor& x, const Shape& shape, DType dtype) {
    if (x) check_like("product", name, x, shape, dtype, c.device());
  };
  like("bias", epilogue.bias, {c.size(1)}, c.dtype());
  like("residual", epilogue.residual, c.shape(), c.dtype());
  like("before", epilogue.before, c.shape(), c.dtype());
  like("factor", epilogue.factor, c.shape(), c.dtype());
  require(!epilogue.factor || !epilogue.times.empty(),
          "product: a factor is wanted of an output without one");
  for (const ProductTerm& term : epilogue.times) check_term(term, c, order);
}

void add_up(const std::vector<ProductTerm>& terms, ProductOrder order, const Tensor& sum) {
  const MatmulOptions options{.transpose_a = order.transpose_a, .transpose_b = order.transpose_b};
  matmul_into(terms[0].a, terms[0].b, sum, options);
  for (size_t i = 1; i < terms.size(); ++i) {
    const Tensor term(sum.shape(), sum.dtype(), sum.device());
    matmul_into(terms[i].a, terms[i].b, term, options);
    add_into(term, sum);
  }
}

void count(Trace& trace, const ProductOutput& output, ProductOrder order) {
  for (const auto* sum : {&output.terms, &output.epilogue.times})
    for (const ProductTerm& term : *sum)
      trace.add_product(Product::name, {1, output.c.size(0), output.c.size(1), depth_of(term, order)});
}

}  // namespace

std::vector<Tensor> ProductOutput::tensors() const {
  std::vector<Tensor> all{c, epilogue.bias, epilogue.residual, epilogue.before, epilogue.factor};
  for (const auto* sum : {&terms, &epilogue.times})
    for (const auto& [a, b] : *sum) all.insert(all.end(), {a, b});
  return all;
}

void product_into(std::span<const ProductOutput> outputs, ProductOrder order) {
  if (outputs.empty()) return;
  for (const ProductOutput& output : outputs) {
    check_float("product", "c", output.c);
    require(output.c.shape().rank() == 2 && output.c.size(0) == outputs[0].c.size(0), "product: c is ",
            output.c.shape(), ", wanted [", outputs[0].c.size(0), ", n]");
    require<DeviceError>(output.c.device() == outputs[0].c.device(), "product: outputs on ",
                         outputs[0].c.device(), " and ", output.c.device());
    require(!output.terms.empty(), "product: an output without terms");
    for (const ProductTerm& term : output.terms) check_term(term, output.c, order);
    check_epilogue(output.epilogue, output.c, order);
  }
  if (Trace* trace = Trace::current())
    for (const ProductOutput& output : outputs) count(*trace, output, order);
  run<Product>(outputs[0].c.device().kind, outputs, order);
  if (const NanWatch* watch = NanWatch::current())
    for (size_t i = 0; i < outputs.size(); ++i)
      for (const Tensor& x : {outputs[i].epilogue.before, outputs[i].epilogue.factor, outputs[i].c})
        watch->look(Product::name, int(i), x, false);
}

void product_by_terms(std::span<const ProductOutput> outputs, ProductOrder order, FinishProduct finish) {
  for (const ProductOutput& output : outputs) {
    if (output.epilogue.empty()) {
      add_up(output.terms, order, output.c);
      continue;
    }
    const Tensor& c = output.c;
    const DType wide = statistics_dtype(c.dtype());
    const auto sum_of = [&](const std::vector<ProductTerm>& terms, const Tensor& sum) {
      add_up(terms, order, sum);
      return sum;
    };
    const auto room = [&] { return Tensor(c.shape(), wide, c.device()); };
    const Tensor& residual = output.epilogue.residual;
    const bool in_place = c.dtype() == wide && !(residual && residual.raw() == c.raw());
    const Tensor sum = sum_of(output.terms, in_place ? c : room());
    finish(sum, output.epilogue.times.empty() ? Tensor() : sum_of(output.epilogue.times, room()), output);
  }
}

}  // namespace dehvf
