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

// y = x weight^T + low up^T, low = scale x down^T.
Variable recorded(const Tensor& y, const Variable& x, const Tensor& low, const WeightSum& sum) {
  const auto& [weight, added] = sum;
  const Tensor kept = added.down.wants_grad() || weight.wants_grad() ? rows_of(x.value()) : Tensor();
  return record(
      "linear_low_rank", y, {x, weight, added.down, added.up},
      [kept, low = added.up.wants_grad() ? low : Tensor(), weight = weight, down = added.down, up = added.up,
       scale = added.scale, shape = x.shape()](const Tensor& gradient, const Wanted& wanted) {
        Grads grads(4);
        const Tensor dy = rows_of(gradient);
        const auto of_weight = [&](const Tensor& d, const Tensor& input, const Variable& w) {
          return product(d, input, w.shape(), w.grad_dtype(), {.transpose_a = true});
        };
        const Tensor dlow = wanted[0] || wanted[2] ? matmul(dy, up.value(), {.alpha = scale}) : Tensor();
        if (wanted[0]) {
          const ProductOutput dx{{{dy, weight.value()}, {dlow, down.value()}}, rows_for(dy, shape.last())};
          product_into({&dx, 1}, false);
          grads[0] = dx.c.reshape(shape);
        }
        if (wanted[1]) grads[1] = of_weight(dy, kept, weight);
        if (wanted[2]) grads[2] = of_weight(dlow, kept, down);
        if (wanted[3]) grads[3] = of_weight(dy, low, up);
        return grads;
      });
}

}  // namespace

Variable linear(const Variable& x, const Variable& weight) {
  return recorded(linear(x.value(), weight.value()), x, weight);
}

std::vector<Variable> linears(const Variable& x, const std::vector<WeightSum>& weights) {
  const Tensor rows = rows_of(x.value());
  std::vector<Tensor> lows;
  std::vector<ProductOutput> outputs;
  for (const auto& [weight, added] : weights) {
    outputs.push_back({{{rows, weight.value()}}, rows_for(rows, weight.shape()[0])});
    lows.push_back(added.down.defined()
                       ? matmul(rows, added.down.value(), {.transpose_b = true, .alpha = added.scale})
                       : Tensor());
    if (lows.back()) outputs.back().terms.push_back({lows.back(), added.up.value()});
  }
  product_into(outputs, true);
  std::vector<Variable> results;
  for (size_t i = 0; i < weights.size(); ++i) {
    const Tensor y = outputs[i].c.reshape(x.shape().with(-1, outputs[i].c.size(1)));
    results.push_back(lows[i] ? recorded(y, x, lows[i], weights[i]) : recorded(y, x, weights[i].weight));
  }
  return results;
}

Variable linear(const Variable& x, const Variable& weight, const LowRank& added) {
  return linears(x, {{weight, added}})[0];
}

Variable linear(const Variable& x, const Variable& weight, const LinearEpilogue& with) {
  const auto& [bias, activation, residual] = with;
  const Tensor rows = rows_of(x.value());
  ProductOutput y{{{rows, weight.value()}}, rows_for(rows, weight.shape()[0])};
  std::vector<Variable> inputs{x, weight};
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
  product_into({&y, 1}, true);
  const auto back = [kept = weight.wants_grad() ? rows : Tensor(), weight, before = y.epilogue.before,
                     activation = activation, x_shape = x.shape(), has_bias = bias.defined(),
                     bias_type = bias.defined() ? bias.grad_dtype() : DType::f32,
                     has_residual = residual.defined()](const Tensor& gradient, const Wanted& wanted) {
    Grads grads(2);
    const Tensor dy = before ? activate_backward(before, rows_of(gradient), *activation) : rows_of(gradient);
    if (wanted[0]) grads[0] = matmul(dy, weight.value()).reshape(x_shape);
    if (wanted[1]) grads[1] = product(dy, kept, weight.shape(), weight.grad_dtype(), {.transpose_a = true});
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
  product_into({&y, 1}, true);
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
          product_into({&dx, 1}, false);
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
