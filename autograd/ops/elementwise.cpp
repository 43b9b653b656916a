#include "autograd/ops/elementwise.h"

#include "core/ops/reduce.h"

namespace dehvf {

Variable activate(const Variable& x, Activation activation) {
  const Tensor value = x.value();
  return record(name_of(activation), activate(value, activation), {x},
                [value, activation](const Tensor& dy, const Wanted&) {
                  return Grads{activate_backward(value, dy, activation)};
                });
}

Variable add(const Variable& a, const Variable& b) {
  return record("add", add(a.value(), b.value()), {a, b}, [](const Tensor& dy, const Wanted&) {
    return Grads{dy, dy};
  });
}

Variable multiply(const Variable& a, const Variable& b) {
  const Tensor kept_a = b.wants_grad() ? a.value() : Tensor(), kept_b = a.wants_grad() ? b.value() : Tensor();
  return record("multiply", multiply(a.value(), b.value()), {a, b},
                [kept_a, kept_b](const Tensor& dy, const Wanted& wanted) {
                  return Grads{wanted[0] ? multiply(dy, kept_b) : Tensor(),
                               wanted[1] ? multiply(dy, kept_a) : Tensor()};
                });
}

Variable scale(const Variable& x, double factor) {
  return record("scale", scale(x.value(), factor), {x},
                [factor](const Tensor& dy, const Wanted&) { return Grads{scale(dy, factor)}; });
}

Variable cast(const Variable& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  return record("cast", cast(x.value(), dtype), {x},
                [](const Tensor& dy, const Wanted&) { return Grads{dy}; });
}

Variable swiglu(const Variable& gate, const Variable& up) {
  const Tensor g = gate.value(), u = up.value();
  return record("swiglu", swiglu(g, u), {gate, up}, [g, u](const Tensor& dy, const Wanted&) {
    Grads grads{Tensor(g.shape(), g.dtype(), g.device()), Tensor(g.shape(), g.dtype(), g.device())};
    swiglu_backward(g, u, dy, grads[0], grads[1]);
    return grads;
  });
}

Variable add_row(const Variable& x, const Variable& row) {
  return record("add_row", add_row(x.value(), row.value()), {x, row},
                [type = row.grad_dtype()](const Tensor& dy, const Wanted& wanted) {
                  return Grads{dy, wanted[1] ? sum_rows(dy, type) : Tensor()};
                });
}

Variable multiply_row(const Variable& x, const Variable& row) {
  const Tensor kept = row.wants_grad() ? x.value() : Tensor();
  return record("multiply_row", multiply_row(x.value(), row.value()), {x, row},
                [kept, row, type = row.grad_dtype()](const Tensor& dy, const Wanted& wanted) {
                  return Grads{wanted[0] ? multiply_row(dy, row.value()) : Tensor(),
                               wanted[1] ? sum_rows(multiply(dy, kept), type) : Tensor()};
                });
}

Variable multiply_column(const Variable& x, const Variable& column) {
  const Tensor kept = column.wants_grad() ? x.value() : Tensor(), factors = column.value();
  return record("multiply_column", multiply_column(x.value(), factors), {x, column},
                [kept, factors](const Tensor& dy, const Wanted& wanted) {
                  return Grads{wanted[0] ? multiply_column(dy, factors) : Tensor(),
                               wanted[1] ? dot_rows(dy, kept) : Tensor()};
                });
}

Variable reshape(const Variable& x, const Shape& shape) {
  return record("reshape", x.value().reshape(shape), {x},
                [from = x.shape()](const Tensor& dy, const Wanted&) { return Grads{dy.reshape(from)}; });
}

}  // namespace dehvf
