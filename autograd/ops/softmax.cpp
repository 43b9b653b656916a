#include "autograd/ops/softmax.h"

#include "core/ops/softmax.h"

namespace dehvf {

Variable softmax(const Variable& x) {
  const Tensor y = softmax(x.value());
  return record("softmax", y, {x},
                [y](const Tensor& dy, const Wanted&) { return Grads{softmax_backward(y, dy)}; });
}

}  // namespace dehvf
