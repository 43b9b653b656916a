#include "cuda/vendor/column_major.h"

#include <gtest/gtest.h>

#include "core/ops/matmul.h"

namespace dehvf {
namespace {

// What a column-major library does with its descriptors, for one element.
double at(const cuda::ColumnMajor& matrix, const double* data, int64_t row, int64_t column) {
  if (matrix.transposed) std::swap(row, column);
  EXPECT_TRUE(0 <= row && row < matrix.rows && 0 <= column && column < matrix.columns);
  return data[column * matrix.ld + row];
}

TEST(ColumnMajor, MakesTheSameProduct) {
  constexpr int64_t kM = 3, kN = 5, kK = 4;
  for (int mode = 0; mode < 4; ++mode) {
    const MatmulOptions options{.transpose_a = (mode & 1) != 0, .transpose_b = (mode & 2) != 0};
    const Tensor a(options.transpose_a ? Shape{kK, kM} : Shape{kM, kK}, DType::f64);
    const Tensor b(options.transpose_b ? Shape{kN, kK} : Shape{kK, kN}, DType::f64);
    for (int64_t i = 0; i < a.count(); ++i) a.data<double>()[i] = double(i * i % 7) - 3;
    for (int64_t i = 0; i < b.count(); ++i) b.data<double>()[i] = double(i * 5 % 11) - 4;
    const Tensor want = matmul(a, b, options), out = zeros({kM, kN}, DType::f64);
    const auto p = cuda::column_major(kM, kN, kK, options.transpose_a, options.transpose_b);
    for (int64_t column = 0; column < p.out.columns; ++column)
      for (int64_t row = 0; row < p.out.rows; ++row)
        for (int64_t k = 0; k < kK; ++k)
          out.data<double>()[column * p.out.ld + row] +=
              at(p.left, b.data<double>(), row, k) * at(p.right, a.data<double>(), k, column);
    for (int64_t i = 0; i < want.count(); ++i)
      EXPECT_EQ(out.data<double>()[i], want.data<double>()[i]) << "mode " << mode << ", element " << i;
  }
}

TEST(ColumnMajor, Alignment) {
  EXPECT_EQ(cuda::alignment_of(reinterpret_cast<void*>(0x1000)), 256u);
  EXPECT_EQ(cuda::alignment_of(reinterpret_cast<void*>(0x1030)), 16u);
  EXPECT_EQ(cuda::alignment_of(reinterpret_cast<void*>(0x1002)), 2u);
}

}  // namespace
}  // namespace dehvf
