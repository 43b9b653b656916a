// Nothing is added here: results are the CPU's, bit for bit.
#include "core/ops/drop_lowest.h"

#include <cstring>
#include <limits>

#include "support/parity.h"

namespace dehvf {
namespace {

class DropLowestKernels : public Parity {
 protected:
  void expect_as_on_the_cpu(const Tensor& x, double fraction) const {
    const DropLowestResult got = drop_lowest(x.to(device()), fraction), want = drop_lowest(x, fraction);
    EXPECT_TRUE(same(got.kept, want.kept)) << x.dtype() << x.shape() << fraction;
    EXPECT_TRUE(same(got.y, want.y)) << x.dtype() << x.shape() << fraction;
  }
  static bool same(const Tensor& got, const Tensor& want) {
    return std::memcmp(got.to(kCpu).raw(), want.raw(), want.bytes()) == 0;
  }
};

constexpr int64_t kWidths[] = {1, 2, 7, 64, 255, 256, 257, 611, 1500};

TEST_P(DropLowestKernels, DropWhatTheCpuDrops) {
  for (DType dtype : kKernelDtypes)
    for (int64_t width : kWidths)
      for (double fraction : {0.0, 0.25, 0.5, 0.999})
        expect_as_on_the_cpu(random_normal({3, width}, 1, random_key({51, uint64_t(width)}), dtype),
                             fraction);
}

// Whole numbers of a few values only: most of the bound's equals are in one row.
TEST_P(DropLowestKernels, OfEqualsTheFirstGo) {
  for (int64_t width : kWidths) {
    const Tensor x({4, width}, DType::f32);
    Random random(52);
    for (float& v : x.span<float>()) v = float(random.below(3)) - 1;
    for (double fraction : {0.1, 0.4, 0.7}) expect_as_on_the_cpu(x, fraction);
  }
}

TEST_P(DropLowestKernels, OrderZerosInfinitiesAndNan) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = tensor_of(std::vector<float>{nan, 0.0f, inf, -0.0f, -nan, -inf, 1e-42f, -1e-42f, 5, -5})
                       .reshape({1, 10});
  for (int dropped = 0; dropped < 10; ++dropped) expect_as_on_the_cpu(x, dropped / 10.0);
}

TEST_P(DropLowestKernels, Backward) {
  for (DType dtype : kKernelDtypes)
    for (int64_t width : kWidths) {
      const Tensor x = random_normal({3, width}, 1, 53, dtype), dy = random_normal({3, width}, 1, 54, dtype);
      const Tensor kept = drop_lowest(x, 0.3).kept;
      const Tensor got = drop_lowest_backward(kept.to(device()), dy.to(device()));
      EXPECT_TRUE(same(got, drop_lowest_backward(kept, dy))) << dtype << width;
    }
  const Tensor nan = full({1, 2}, NAN).to(device());
  const Tensor kept = tensor_of(std::vector<uint8_t>{0, 1}).reshape({1, 2}).to(device());
  const Tensor dx = drop_lowest_backward(kept, nan).to(kCpu);
  EXPECT_EQ(dx.data<float>()[0], 0);
  EXPECT_TRUE(std::isnan(dx.data<float>()[1]));
}

TEST_P(DropLowestKernels, WriteNothingBehindTheirOutput) {
  const int64_t width = 41;
  const Tensor x = drawn(2 * width, 1, DType::f32, device(), 55).reshape({2, width});
  const Tensor whole = output(2 * width, 1, DType::f32);
  const Tensor bytes = zeros({2 * width + 1}, DType::u8, device());
  run<DropLowest>(device().kind, x, int64_t(20), whole.slice(1, 1 + 2 * width).reshape({2, width}),
                  bytes.slice(0, 2 * width).reshape({2, width}));
  expect_untouched_behind(whole, 1 + 2 * width);
  EXPECT_EQ(bytes.to(kCpu).data<uint8_t>()[2 * width], 0);
  EXPECT_EQ(drop_lowest(Tensor({0, 8}, DType::f32, device()), 0.5).y.count(), 0);
}

INSTANTIATE_TEST_SUITE_P(Places, DropLowestKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
