#include "core/ops/reduce.h"

#include "core/ops/check.h"

namespace dehvf {

Tensor sum_rows(const Tensor& x, DType dtype) {
  check_float("sum_rows", "x", x);
  Tensor sum({x.shape().last()}, dtype, x.device());
  run<SumRows>(x.device().kind, x, sum);
  return sum;
}

Tensor dot_rows(const Tensor& a, const Tensor& b) {
  check_same("dot_rows", "a", a, "b", b);
  Tensor dots(a.shape().without(-1), a.dtype(), a.device());
  run<DotRows>(a.device().kind, a, b, dots);
  return dots;
}

Tensor sum_all(const Tensor& x) {
  check_float("sum_all", "x", x);
  Tensor sum(Shape{}, statistics_dtype(x.dtype()), x.device());
  run<SumAll>(x.device().kind, x, sum);
  return sum;
}

}  // namespace dehvf
