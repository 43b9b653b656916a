#include "core/ops/matmul.h"

#include "core/ops/check.h"

namespace dehvf {
namespace {

struct Sizes {
  int64_t batch, m, n, k;
};

Sizes sizes_of(const Tensor& a, const Tensor& b, const MatmulOptions& options) {
  check_float("matmul", "a", a);
  check_float("matmul", "b", b);
  const int rank = a.shape().rank();
  require((rank == 2 || rank == 3) && b.shape().rank() == rank,
          "matmul: wanted two matrices or two batches, found ", a.shape(), " and ", b.shape());
  const int64_t m = a.size(options.transpose_a ? -1 : -2), k = a.size(options.transpose_a ? -2 : -1);
  const int64_t n = b.size(options.transpose_b ? -2 : -1), inner = b.size(options.transpose_b ? -1 : -2);
  require(k == inner && (rank == 2 || a.size(0) == b.size(0)), "matmul: a ", a.shape(),
          options.transpose_a ? " transposed" : "", " does not fit b ", b.shape(),
          options.transpose_b ? " transposed" : "");
  require<DeviceError>(a.device() == b.device(), "matmul: a is on ", a.device(), ", b on ", b.device());
  return {rank == 3 ? a.size(0) : 1, m, n, k};
}

}  // namespace

void matmul_into(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  const Sizes s = sizes_of(a, b, options);
  const Shape wanted = a.shape().rank() == 3 ? Shape{s.batch, s.m, s.n} : Shape{s.m, s.n};
  require(c.shape() == wanted, "matmul: c is ", c.shape(), ", wanted ", wanted);
  check_float("matmul", "c", c);
  if (Trace* trace = Trace::current()) trace->add_product(Matmul::name, {s.batch, s.m, s.n, s.k});
  run<Matmul>(a.device().kind, a, b, c, options);
}

Tensor matmul(const Tensor& a, const Tensor& b, const MatmulOptions& options) {
  const Sizes s = sizes_of(a, b, options);
  Tensor c(a.shape().rank() == 3 ? Shape{s.batch, s.m, s.n} : Shape{s.m, s.n}, a.dtype(), a.device());
  matmul_into(a, b, c, options);
  return c;
}

Tensor linear(const Tensor& x, const Tensor& weight) {
  const Tensor flat = x.reshape({x.shape().rows(), x.shape().last()});
  require(weight.shape().rank() == 2, "linear: weight is ", weight.shape(), ", wanted [out, in]");
  return matmul(flat, weight, {.transpose_b = true}).reshape(x.shape().with(-1, weight.size(0)));
}

}  // namespace dehvf
