#include "autograd/ops/linear.h"

#include "core/ops/product.h"
#include "core/ops/reduce.h"

namespace dehvf {
namespace {

Tensor rows_of(const Tensor& x) { return x.reshape({x.shape().rows(), x.shape().last()}); }

Tensor product(const Tensor& a, const Tensor& b, const Shape& shape, DType dtype,
               const MatmulOptions& options) {
  Tensor result(shape, dtype, a.device());
  matmul_into(a, b, result, options);
  return result;
}

Variable recorded(const Tensor& y, const Variable& x, const Variable& weight) {
  const Tensor kept = weight.wants_grad() ? x.value() : Tensor();
  // A weight is captured as a Variable: a frozen one is looked up again under the lease of the backward pass.
  return record(
      "linear", y, {x, weight}, [kept, weight, shape = x.shape()](const Tensor& dy, const Wanted& wanted) {
        Grads grads(2);
        if (wanted[0]) grads[0] = matmul(rows_of(dy), weight.value()).reshape(shape);
        if (wanted[1])
          grads[1] =
              product(rows_of(dy), rows_of(kept), weight.shape(), weight.grad_dtype(), {.transpose_a = true});
        return grads;
      });
}

Tensor rows_for(const Tensor& x, int64_t width) {
  return Tensor({x.shape().rows(), width}, x.dtype(), x.device());
}

// What linears() keeps for its backward pass.
struct KeptMaps {
  std::vector<LinearMap> maps;
  std::vector<Tensor> lows;  // scale x down^T of each map with a low rank
  Tensor rows;               // x, where a gradient reads it
  Shape shape;
  std::vector<Tensor> dys;  // of the results behind the first one: they wait here for its node
};

constexpr size_t kInputs = 4;  // of a map, in their order behind x: weight, down, up, bias

// One product for x, one for each other gradient. A result that nobody used adds nothing.
Grads back(const KeptMaps& kept, std::span<const Tensor> dys, const Wanted& wanted) {
  Grads grads(1 + kInputs * kept.maps.size());
  ProductOutput dx{{}, Tensor()};
  // From the last one, as a tape would add them up.
  for (size_t i = kept.maps.size(); i-- > 0;) {
    const auto& [weight, added, bias] = kept.maps[i];
    const size_t at = 1 + kInputs * i;
    if (!dys[i].defined()) continue;
    const Tensor dy = rows_of(dys[i]);
    const auto of_weight = [&](size_t input, const Tensor& d, const Tensor& x, const Variable& w) {
      if (wanted[at + input])
        grads[at + input] = product(d, x, w.shape(), w.grad_dtype(), {.transpose_a = true});
    };
    const bool low = added.down.defined() && (wanted[0] || wanted[at + 1]);
    const Tensor dlow = low ? matmul(dy, added.up.value(), {.alpha = added.scale}) : Tensor();
    if (wanted[0]) {
      dx.terms.push_back({dy, weight.value()});
      if (low) dx.terms.push_back({dlow, added.down.value()});
    }
    of_weight(0, dy, kept.rows, weight);
    of_weight(1, dlow, kept.rows, added.down);
    of_weight(2, dy, kept.lows[i], added.up);
    if (wanted[at + 3]) grads[at + 3] = sum_rows(dy, bias.grad_dtype());
  }
  if (!dx.terms.empty()) {
    dx.c = rows_for(dx.terms[0].a, kept.shape.last());
    product_into({&dx, 1}, {});
    grads[0] = dx.c.reshape(kept.shape);
  }
  return grads;
}

}  // namespace

Variable linear(const Variable& x, const Variable& weight) {
  return recorded(linear(x.value(), weight.value()), x, weight);
}

std::vector<Variable> linears(const Variable& x, const std::vector<LinearMap>& maps) {
  const Tensor rows = rows_of(x.value());
  const auto kept = std::make_shared<KeptMaps>(KeptMaps{maps, {}, {}, x.shape(), {}});
  std::vector<ProductOutput> outputs;
  std::vector<Variable> inputs{x};
  for (const auto& [weight, added, bias] : maps) {
    outputs.push_back({{{rows, weight.value()}}, rows_for(rows, weight.shape()[0])});
    if (bias.defined()) outputs.back().epilogue.bias = bias.value();
    const Tensor low = added.down.defined()
                           ? matmul(rows, added.down.value(), {.transpose_b = true, .alpha = added.scale})
                           : Tensor();
    if (low) outputs.back().terms.push_back({low, added.up.value()});
    kept->lows.push_back(added.up.wants_grad() ? low : Tensor());
    if (weight.wants_grad() || added.down.wants_grad()) kept->rows = rows;
    inputs.insert(inputs.end(), {weight, added.down, added.up, bias});
  }
  product_into(outputs, {.transpose_b = true});
  // The first one's node was recorded before the others' and is visited after them.
  std::vector<Variable> results;
  for (size_t i = 0; i < maps.size(); ++i) {
    const Tensor y = outputs[i].c.reshape(x.shape().with(-1, outputs[i].c.size(1)));
    if (i == 0)
      results.push_back(record(
          "linears", y, inputs,
          [kept](const Tensor& dy, const Wanted& wanted) {
            kept->dys[0] = dy;
            return back(*kept, std::exchange(kept->dys, {}), wanted);
          },
          true));
    else
      results.push_back(record(
          "linears' other", y, {results[0]},
          [kept, i](const Tensor& dy, const Wanted&) {
            kept->dys[i] = dy;
            return Grads(1);
          },
          true));
  }
  kept->dys.resize(maps.size());
  return results;
}

Variable linear(const Variable& x, const Variable& weight, const LowRank& added) {
  return linears(x, {{weight, added}})[0];
}

Variable linear(const Variable& x, const Variable& weight, const LinearEpilogue& with) {
  const auto& [scale, bias, activation, residual] = with;
  const Tensor rows = rows_of(x.value());
  ProductOutput y{{{rows, weight.value()}}, rows_for(rows, weight.shape()[0])};
  std::vector<Variable> inputs{x, weight};
  y.epilogue.scale = scale;
  y.epilogue.activation = activation;
  if (bias.defined()) {
    inputs.push_back(bias);
    y.epilogue.bias = bias.value();
  }
  if (activation && recording() && wanted_of(inputs).any()) y.epilogue.before = rows_for(rows, y.c.size(1));
  if (residual.defined()) {
    inputs.push_back(residual);
    y.epilogue.residual = rows_of(residual.value());
  }
  product_into({&y, 1}, {.transpose_b = true});
  const auto back = [kept = weight.wants_grad() ? rows : Tensor(), weight, before = y.epilogue.before,
                     scale = scale, activation = activation, x_shape = x.shape(), has_bias = bias.defined(),
                     bias_type = bias.defined() ? bias.grad_dtype() : DType::f32,
                     has_residual = residual.defined()](const Tensor& gradient, const Wanted& wanted) {
    Grads grads(2);
    const Tensor dy = before ? activate_backward(before, rows_of(gradient), *activation) : rows_of(gradient);
    if (wanted[0]) grads[0] = matmul(dy, weight.value(), {.alpha = scale}).reshape(x_shape);
    if (wanted[1])
      grads[1] =
          product(dy, kept, weight.shape(), weight.grad_dtype(), {.transpose_a = true, .alpha = scale});
    if (has_bias) grads.push_back(wanted[2] ? sum_rows(dy, bias_type) : Tensor());
    if (has_residual) grads.push_back(gradient);
    return grads;
  };
  return record("linear", y.c.reshape(x.shape().with(-1, y.c.size(1))), std::move(inputs), back);
}

Variable linear(const Variable& x, const Variable& weight, const Variable& bias) {
  return linear(x, weight, {.bias = bias});
}

Variable swiglu(const Variable& x, const Variable& gate, const Variable& up) {
  const Tensor rows = rows_of(x.value());
  const int64_t width = gate.shape()[0];
  ProductOutput y{{{rows, gate.value()}}, rows_for(rows, width)};
  y.epilogue = {.activation = Activation::silu, .times = {{rows, up.value()}}};
  if (recording() && (x.wants_grad() || gate.wants_grad() || up.wants_grad())) {
    y.epilogue.before = rows_for(rows, width);
    y.epilogue.factor = rows_for(rows, width);
  }
  product_into({&y, 1}, {.transpose_b = true});
  const Tensor kept = gate.wants_grad() || up.wants_grad() ? rows : Tensor();
  return record(
      "swiglu", y.c.reshape(x.shape().with(-1, width)), {x, gate, up},
      [kept, gate, up, g = y.epilogue.before, u = y.epilogue.factor, shape = x.shape()](
          const Tensor& gradient, const Wanted& wanted) {
        Grads grads(3);
        const Tensor dgate = rows_for(g, g.size(1)), dup = rows_for(g, g.size(1));
        swiglu_backward(g, u, rows_of(gradient), dgate, dup);
        if (wanted[0]) {
          const ProductOutput dx{{{dgate, gate.value()}, {dup, up.value()}}, rows_for(g, shape.last())};
          product_into({&dx, 1}, {});
          grads[0] = dx.c.reshape(shape);
        }
        const auto of_weight = [&](const Tensor& d, const Variable& weight) {
          return product(d, kept, weight.shape(), weight.grad_dtype(), {.transpose_a = true});
        };
        if (wanted[1]) grads[1] = of_weight(dgate, gate);
        if (wanted[2]) grads[2] = of_weight(dup, up);
        return grads;
      });
}

Variable matmul(const Variable& a, const Variable& b, bool transpose_b) {
  const Tensor kept_a = b.wants_grad() ? a.value() : Tensor();
  return record("matmul", matmul(a.value(), b.value(), {.transpose_b = transpose_b}), {a, b},
                [kept_a, a_shape = a.shape(), a_type = a.grad_dtype(), b, transpose_b](const Tensor& dy,
                                                                                       const Wanted& wanted) {
                  Grads grads(2);
                  if (wanted[0])
                    grads[0] = product(dy, b.value(), a_shape, a_type, {.transpose_b = !transpose_b});
                  if (wanted[1])
                    grads[1] = transpose_b
                                   ? product(dy, kept_a, b.shape(), b.grad_dtype(), {.transpose_a = true})
                                   : product(kept_a, dy, b.shape(), b.grad_dtype(), {.transpose_a = true});
                  return grads;
                });
}

}  // namespace dehvf
