#include "autograd/ops/cross_entropy.h"

#include "core/ops/cross_entropy.h"
#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"
#include "core/ops/rows.h"

namespace dehvf {

Variable cross_entropy(const Variable& hidden, const Variable& head, const Tensor& targets) {
  const Tensor kept = hidden.value();
  return record("cross_entropy", cross_entropy(kept, head.value(), targets), {hidden, head},
                [=, type = hidden.grad_dtype()](const Tensor& dy, const Wanted& wanted) {
                  Grads grads{wanted[0] ? Tensor(kept.shape(), type, kept.device()) : Tensor(),
                              wanted[1] ? Tensor(head.shape(), head.grad_dtype(), kept.device()) : Tensor()};
                  cross_entropy_backward(kept, head.value(), targets, dy, grads[0], grads[1]);
                  return grads;
                });
}

Variable sum_all(const Variable& x) {
  return record("sum_all", sum_all(x.value()), {x},
                [shape = x.shape(), type = x.grad_dtype()](const Tensor& dy, const Wanted&) {
                  const Tensor only_row = zeros({shape.count()}, DType::i32, dy.device());
                  return Grads{gather_rows(cast(dy, type).reshape({1}), only_row).reshape(shape)};
                });
}

}  // namespace dehvf
