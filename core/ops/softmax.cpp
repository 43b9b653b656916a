#include "core/ops/softmax.h"

#include "core/ops/check.h"

namespace dehvf {

Tensor softmax(const Tensor& x) {
  check_float("softmax", "x", x);
  require(x.shape().rank() > 0 && x.shape().last() > 0, "softmax: x ", x.shape(), " has no width");
  Tensor y(x.shape(), x.dtype(), x.device());
  run<Softmax>(x.device().kind, x, y);
  return y;
}

Tensor softmax_backward(const Tensor& y, const Tensor& dy) {
  check_same("softmax_backward", "y", y, "dy", dy);
  Tensor dx(y.shape(), y.dtype(), y.device());
  run<SoftmaxBackward>(y.device().kind, y, dy, dx);
  return dx;
}

}  // namespace dehvf
