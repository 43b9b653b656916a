#include "core/ops/drop_lowest.h"

#include "core/ops/check.h"

namespace dehvf {

DropLowestResult drop_lowest(const Tensor& x, double fraction) {
  check_float("drop_lowest", "x", x);
  require(x.shape().rank() == 2, "drop_lowest: x is ", x.shape(), ", wanted [rows, width]");
  require<ConfigError>(fraction >= 0 && fraction < 1, "drop_lowest: fraction ", fraction,
                       " is not in [0, 1)");
  // 0.29 * 100 is 28.99...96 in doubles.
  const auto dropped = int64_t(std::floor(fraction * double(x.size(1)) + 1e-9));
  DropLowestResult result{Tensor(x.shape(), x.dtype(), x.device()), Tensor(x.shape(), DType::u8, x.device())};
  run<DropLowest>(x.device().kind, x, dropped, result.y, result.kept);
  return result;
}

Tensor drop_lowest_backward(const Tensor& kept, const Tensor& dy) {
  check_like("drop_lowest_backward", "kept", kept, dy.shape(), DType::u8, dy.device());
  Tensor dx(dy.shape(), dy.dtype(), dy.device());
  run<DropLowestBackward>(dy.device().kind, kept, dy, dx);
  return dx;
}

}  // namespace dehvf
