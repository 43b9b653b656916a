#include "autograd/ops/softmax.h"

#include "core/ops/elementwise.h"
#include "core/ops/softmax.h"

namespace dehvf {

Variable softmax(const Variable& x) {
  const Tensor y = softmax(x.value());
  return record("softmax", y, {x}, [y, type = x.grad_dtype()](const Tensor& dy, const Wanted&) {
    return Grads{cast(softmax_backward(y, dy), type)};
  });
}

}  // namespace dehvf
