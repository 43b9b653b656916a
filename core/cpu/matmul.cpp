// Eigen's product, cut into tiles by shape alone so that neither thread count nor cache detection changes a
// bit.
#include "core/ops/matmul.h"

#include <vector>

#include "core/cpu/chunks.h"

namespace dehvf::cpu {
namespace {

template <class C>
using Matrix = Eigen::Matrix<C, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class C>
using MatrixView = Eigen::Map<Matrix<C>, 0, Eigen::OuterStride<>>;
template <class C>
using ConstMatrixView = Eigen::Map<const Matrix<C>, 0, Eigen::OuterStride<>>;

constexpr int64_t kTaskFlops = 1 << 20, kTileStep = 48;

struct Product {
  int64_t m, n, k;
  bool transpose_a, transpose_b;
};

// c[rows of the tile, columns of the tile] += alpha a b
template <class C>
void tile(const Product& p, const C* a, const C* b, C* c, C alpha, int64_t row, int64_t rows, int64_t column,
          int64_t columns) {
  const int64_t lda = p.transpose_a ? p.m : p.k, ldb = p.transpose_b ? p.k : p.n;
  MatrixView<C> out(c + row * p.n + column, rows, columns, Eigen::OuterStride<>(p.n));
  const auto multiply = [&](const auto& left, const auto& right) { out.noalias() += alpha * (left * right); };
  const auto with_left = [&](const auto& left) {
    if (p.transpose_b)
      multiply(left,
               ConstMatrixView<C>(b + column * ldb, columns, p.k, Eigen::OuterStride<>(ldb)).transpose());
    else
      multiply(left, ConstMatrixView<C>(b + column, p.k, columns, Eigen::OuterStride<>(ldb)));
  };
  if (p.transpose_a)
    with_left(ConstMatrixView<C>(a + row, p.k, rows, Eigen::OuterStride<>(lda)).transpose());
  else
    with_left(ConstMatrixView<C>(a + row * lda, rows, p.k, Eigen::OuterStride<>(lda)));
}

int64_t up_to_multiple(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// How one side of the result is cut: into at most eight pieces of multiples of kTileStep, a short side
// evenly.
int64_t piece(int64_t side) {
  if (side >= 8 * kTileStep) return up_to_multiple((side + 7) / 8, kTileStep);
  const int64_t pieces = (side + kTileStep - 1) / kTileStep;
  return up_to_multiple((side + pieces - 1) / pieces, 8);
}

template <class C>
void multiply(const Product& p, const C* a, const C* b, C* c, C alpha) {
  if (2 * p.m * p.n * p.k <= kTaskFlops) return tile(p, a, b, c, alpha, 0, p.m, 0, p.n);
  if (p.m >= p.n)
    parallel_ranges(p.m, piece(p.m),
                    [&](int64_t i, int64_t end) { tile(p, a, b, c, alpha, i, end - i, 0, p.n); });
  else
    parallel_ranges(p.n, piece(p.n),
                    [&](int64_t i, int64_t end) { tile(p, a, b, c, alpha, 0, p.m, i, end - i); });
}

// The elements of `tensor` as C: themselves, or converted into `buffer`.
template <class C>
const C* elements(const Tensor& tensor, Aligned<C>& buffer) {
  if (tensor.dtype() == dtype_of<C>()) return tensor.data<C>();
  buffer.resize(size_t(tensor.count()));
  visit_float(tensor.dtype(), [&]<class T>(std::type_identity<T>) {
    const T* from = tensor.data<T>();
    parallel_ranges(tensor.count(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) buffer[size_t(i)] = C(Compute<T>(from[i]));
    });
  });
  return buffer.data();
}

template <class T>
void matmul_as(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  using C = Compute<T>;
  const bool batched = a.shape().rank() == 3;
  const int64_t batch = batched ? a.size(0) : 1;
  const Product p{c.size(-2), c.size(-1), a.size(options.transpose_a ? -2 : -1), options.transpose_a,
                  options.transpose_b};
  Aligned<C> a_buffer, b_buffer, c_buffer;
  const C *a_data = elements(a, a_buffer), *b_data = elements(b, b_buffer);
  C* c_data;
  if constexpr (kDirect<T>)
    c_data = c.data<T>();
  else
    c_buffer.resize(size_t(c.count())), c_data = c_buffer.data();
  if (!kDirect<T> || !options.accumulate) std::fill_n(c_data, c.count(), C(0));
  const auto one = [&](int64_t i) {
    multiply(p, a_data + i * p.m * p.k, b_data + i * p.k * p.n, c_data + i * p.m * p.n, C(options.alpha));
  };
  if (batch == 1)
    one(0);
  else
    parallel_ranges(batch, std::max<int64_t>(1, kTaskFlops / std::max<int64_t>(1, 2 * p.m * p.n * p.k)),
                    [&](int64_t begin, int64_t end) {
                      for (int64_t i = begin; i < end; ++i) one(i);
                    });
  if constexpr (!kDirect<T>) {
    const T* old = c.data<T>();
    if (options.accumulate)
      map_into(
          c.data<T>(), c.count(), [](const auto& u, const auto& v) { return u + v; }, old, c_data);
    else
      map_into(
          c.data<T>(), c.count(), [](const auto& v) { return v; }, c_data);
  }
}

// Eigen sizes its blocks by the caches it detects; fixed sizes make sums come out the same on every machine.
const bool kCachesFixed = [] {
  Eigen::setCpuCacheSizes(32 * 1024, 512 * 1024, 4 * 1024 * 1024);
  return true;
}();

void matmul(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  visit_float(c.dtype(), [&]<class T>(std::type_identity<T>) { matmul_as<T>(a, b, c, options); });
}

const Provide<Matmul> provide_matmul{{DeviceKind::cpu}, matmul};

}  // namespace
}  // namespace dehvf::cpu
