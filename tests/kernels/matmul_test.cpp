#include "core/ops/matmul.h"

#include <cmath>
#include <cstring>

#include "support/parity.h"

namespace dehvf {
namespace {

class MatmulKernels : public Parity {};

struct Case {
  int64_t batch, m, n, k;
};
constexpr Case kCases[] = {{1, 1, 1, 1},      {1, 3, 5, 7},    {1, 17, 33, 64},  {1, 129, 130, 65},
                           {1, 64, 48, 31},   {3, 5, 9, 20},   {1, 2, 3, 0},     {2, 33, 16, 40},
                           {1, 1, 257, 96},   {1, 257, 1, 40}, {1, 16, 16, 700}, {1, 136, 144, 72},
                           {2, 24, 40, 1048}, {1, 20, 12, 28}, {2, 12, 36, 44},  {1, 132, 12, 300}};

// ||a|| ||b|| of contracts.md 9: the largest product of a row's and a column's norm.
double magnitude(const Tensor& a, const Tensor& b, int64_t k) {
  const auto largest = [](const Tensor& x) {
    double most = 0;
    for (double v : x.span<double>()) most = std::max(most, std::fabs(v));
    return most;
  };
  return a.count() == 0 ? 1 : double(k) * largest(a) * largest(b) / std::sqrt(std::max<double>(1, double(k)));
}

Shape shape_of(const Case& c, int64_t rows, int64_t columns) {
  return c.batch == 1 ? Shape{rows, columns} : Shape{c.batch, rows, columns};
}

// Operands a few elements behind an aligned address in one of two runs.
Tensor operand(const Shape& shape, int64_t shift, DType dtype, Device device, uint64_t key) {
  return drawn(shape.count(), shift, dtype, device, key, 1).reshape(shape);
}

TEST_P(MatmulKernels, AllTransposes) {
  for (const KernelKey& key : variants<Matmul>())
    for (const Case& c : kCases)
      for (DType dtype : kKernelDtypes)
        for (int mode = 0; mode < 4; ++mode) {
          if (!affordable(c.batch * c.m * c.n * c.k, dtype)) continue;
          const MatmulOptions options{
              .transpose_a = (mode & 1) != 0, .transpose_b = (mode & 2) != 0, .alpha = 0.7};
          const int64_t shift = mode == 1 ? 1 : 0;
          const Tensor a = operand(options.transpose_a ? shape_of(c, c.k, c.m) : shape_of(c, c.m, c.k), shift,
                                   dtype, device(), random_key({1, uint64_t(c.m * c.k)}));
          const Tensor b = operand(options.transpose_b ? shape_of(c, c.n, c.k) : shape_of(c, c.k, c.n), shift,
                                   dtype, device(), random_key({2, uint64_t(c.n * c.k)}));
          const int64_t count = c.batch * c.m * c.n;
          const Tensor whole = output(count, 0, dtype),
                       out = whole.slice(0, count).reshape(shape_of(c, c.m, c.n));
          fill(out, NAN);
          Registry<Matmul>::instance().find(key)(a, b, out, options);
          const Tensor ea = exact(a), eb = exact(b);
          expect_close(out, matmul(ea, eb, options),
                       {.additions = double(std::max<int64_t>(c.k, 1)), .magnitude = magnitude(ea, eb, c.k)},
                       concat("matmul ", key, ' ', c.m, 'x', c.n, 'x', c.k, " mode ", mode));
          expect_untouched_behind(whole, count);
        }
}

TEST_P(MatmulKernels, MixedDtypesAndAccumulation) {
  for (const KernelKey& key : variants<Matmul>())
    for (DType dtype_a : kKernelDtypes)
      for (DType dtype_b : kKernelDtypes)
        for (DType dtype_c : kKernelDtypes) {
          const Case c{1, 19, 37, 45};
          const Tensor a = operand({c.k, c.m}, 0, dtype_a, device(), 3),
                       b = operand({c.k, c.n}, 0, dtype_b, device(), 4);
          const Tensor sum = operand({c.m, c.n}, 0, dtype_c, device(), 5);
          const MatmulOptions options{.transpose_a = true, .alpha = -1.3, .accumulate = true};
          const Tensor ea = exact(a), eb = exact(b), want = exact(sum);
          matmul_into(ea, eb, want, options);
          Registry<Matmul>::instance().find(key)(a, b, sum, options);
          expect_close(sum, want, {.additions = double(c.k), .magnitude = magnitude(ea, eb, c.k)},
                       concat("matmul ", key, ' ', dtype_a, ' ', dtype_b));
        }
}

TEST_P(MatmulKernels, RepeatBitForBit) {
  for (const KernelKey& key : variants<Matmul>()) {
    const Tensor a = operand({70, 900}, 0, DType::bf16, device(), 6),
                 b = operand({50, 900}, 0, DType::bf16, device(), 7);
    const auto product = [&] {
      const Tensor c({70, 50}, DType::f32, device());
      Registry<Matmul>::instance().find(key)(a, b, c, {.transpose_b = true});
      return c.to(kCpu);
    };
    const Tensor first = product(), second = product();
    EXPECT_EQ(std::memcmp(first.raw(), second.raw(), first.bytes()), 0) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(Places, MatmulKernels, kAsyncPlaces, place_name);

}  // namespace
}  // namespace dehvf
