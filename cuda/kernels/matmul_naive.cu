// c_ij = alpha sum_k a_ik b_kj (+ c_ij): the sum in f32 in the order of k, one rounding.
// One thread owns one element of c; neighbours in a warp are neighbours in a row of c.
#include "core/ops/matmul.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"

namespace dehvf::cuda {
namespace {

// Element (i, j) of the z-th matrix stands at z * batch + i * row + j * column.
struct Strides {
  int64_t batch, row, column;
};

template <class A, class B, class C>
__global__ void matmul_naive_kernel(const A* a, Strides a_by, const B* b, Strides b_by, C* c, int64_t m,
                                    int64_t n, int64_t k, float alpha, bool accumulate) {
  const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t batch = blockIdx.y, row = index / n, column = index % n;
  if (row >= m) return;
  a += batch * a_by.batch + row * a_by.row;
  b += batch * b_by.batch + column * b_by.column;
  C& out = c[batch * m * n + index];
  float sum = 0;
  for (int64_t i = 0; i < k; ++i) sum += widened(a[i * a_by.column]) * widened(b[i * b_by.row]);
  out = rounded<C>(accumulate ? widened(out) + alpha * sum : alpha * sum);
}

Strides strides_of(const Tensor& matrix, bool transposed) {
  const int64_t rows = matrix.size(-2), columns = matrix.size(-1), batch = rows * columns;
  return transposed ? Strides{batch, 1, columns} : Strides{batch, columns, 1};
}

void matmul_naive(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  constexpr int kThreads = 256;
  const int64_t m = c.size(-2), n = c.size(-1), k = a.size(options.transpose_a ? -2 : -1);
  const int64_t batch = c.shape().rank() == 3 ? c.size(0) : 1;
  visit_element("matmul", a.dtype(), [&]<class A>(std::type_identity<A>) {
    visit_element("matmul", b.dtype(), [&]<class B>(std::type_identity<B>) {
      visit_element("matmul", c.dtype(), [&]<class C>(std::type_identity<C>) {
        launch({"matmul_naive"}, dim3(unsigned((m * n + kThreads - 1) / kThreads), unsigned(batch)),
               dim3(kThreads), 0, current_stream(c.device()), matmul_naive_kernel<A, B, C>,
               static_cast<const A*>(a.raw()), strides_of(a, options.transpose_a),
               static_cast<const B*>(b.raw()), strides_of(b, options.transpose_b), static_cast<C*>(c.raw()),
               m, n, k, float(options.alpha), options.accumulate);
      });
    });
  });
}

const Provide<Matmul> provide_matmul{{kKernelDevice, "naive"}, matmul_naive};

}  // namespace
}  // namespace dehvf::cuda
