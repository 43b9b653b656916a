#include "autograd/ops/linear.h"

#include "autograd/ops/elementwise.h"

namespace dehvf {
namespace {

Tensor rows_of(const Tensor& x) { return x.reshape({x.shape().rows(), x.shape().last()}); }

Tensor product(const Tensor& a, const Tensor& b, const Shape& shape, DType dtype,
               const MatmulOptions& options) {
  Tensor result(shape, dtype, a.device());
  matmul_into(a, b, result, options);
  return result;
}

}  // namespace

Variable linear(const Variable& x, const Variable& weight) {
  const Tensor kept = weight.wants_grad() ? x.value() : Tensor();
  // A weight is captured as a Variable: a frozen one is looked up again under the lease of the backward pass.
  return record("linear", linear(x.value(), weight.value()), {x, weight},
                [kept, weight, shape = x.shape()](const Tensor& dy, const Wanted& wanted) {
                  Grads grads(2);
                  if (wanted[0]) grads[0] = matmul(rows_of(dy), weight.value()).reshape(shape);
                  if (wanted[1])
                    grads[1] = product(rows_of(dy), rows_of(kept), weight.shape(), weight.grad_dtype(),
                                       {.transpose_a = true});
                  return grads;
                });
}

Variable linear(const Variable& x, const Variable& weight, const Variable& bias) {
  const Variable y = linear(x, weight);
  return bias.defined() ? add_row(y, bias) : y;
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
