#include "core/ops/reduce.h"

#include <cstring>

#include "support/parity.h"

namespace dehvf {
namespace {

class ReduceKernels : public Parity {};

struct Case {
  int64_t rows, width;
};

TEST_P(ReduceKernels, SumRows) {
  for (DType dtype : kKernelDtypes)
    for (const auto [rows, width] :
         {Case{1, 1}, Case{0, 5}, Case{7, 31}, Case{611, 3}, Case{333, 264}, Case{1031, 40}})
      for (int64_t shift : {0, 1}) {
        const int64_t count = rows * width;
        const Tensor x =
            drawn(count, shift, dtype, device(), random_key({51, uint64_t(count)})).reshape({rows, width});
        const Bound bound{.additions = double(rows) + 1, .magnitude = 6 * std::sqrt(double(rows)) + 1};
        for (DType to : {DType::f32, dtype}) {
          const Tensor whole = output(width, 0, to), sum = whole.slice(0, width);
          run<SumRows>(device().kind, x, sum);
          expect_close(sum, sum_rows(exact(x), DType::f64), bound, "sum_rows");
          expect_untouched_behind(whole, width);
        }
      }
}

TEST_P(ReduceKernels, DotRows) {
  for (DType dtype : kKernelDtypes)
    for (const auto [rows, width] : {Case{1, 1}, Case{9, 3}, Case{5, 256}, Case{3, 611}, Case{2, 4104}})
      for (int64_t shift : {0, 1}) {
        const int64_t count = rows * width;
        const auto key = [&](uint64_t of) { return random_key({of, uint64_t(width)}); };
        const Tensor a = drawn(count, shift, dtype, device(), key(52), 1).reshape({rows, width});
        const Tensor b = drawn(count, 0, dtype, device(), key(53), 1).reshape({rows, width});
        const Tensor whole = output(rows, 0, dtype), dots = whole.slice(0, rows);
        run<DotRows>(device().kind, a, b, dots);
        expect_close(dots, dot_rows(exact(a), exact(b)),
                     {.additions = double(width), .magnitude = std::sqrt(double(width))}, "dot_rows");
        expect_untouched_behind(whole, rows);
      }
}

TEST_P(ReduceKernels, SumAll) {
  for (DType dtype : kKernelDtypes)
    for (int64_t count : {0, 1, 257, 4096, 20011})
      for (int64_t shift : {0, 1}) {
        const Tensor x = drawn(count, shift, dtype, device(), random_key({54, uint64_t(count)}), 1);
        expect_close(sum_all(x), sum_all(exact(x)),
                     {.additions = double(count) + 1, .magnitude = std::sqrt(double(count)) + 1}, "sum_all");
      }
}

TEST_P(ReduceKernels, RepeatBitForBitAndPassNanOn) {
  const Tensor x = random_normal({311, 97}, 1, 55);
  x.data<float>()[310 * 97 + 5] = NAN;
  const Tensor there = x.to(device());
  const Tensor first = sum_rows(there, DType::f32).to(kCpu), second = sum_rows(there, DType::f32).to(kCpu);
  EXPECT_EQ(std::memcmp(first.raw(), second.raw(), first.bytes()), 0);
  for (int64_t c = 0; c < 97; ++c) EXPECT_EQ(std::isnan(first.data<float>()[c]), c == 5);
  EXPECT_TRUE(std::isnan(item(sum_all(there))));
  const Tensor dots = dot_rows(there, there).to(kCpu);
  for (int64_t row : {0, 309, 310}) EXPECT_EQ(std::isnan(dots.data<float>()[row]), row == 310);
}

INSTANTIATE_TEST_SUITE_P(Places, ReduceKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
