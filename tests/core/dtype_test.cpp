#include "core/dtype.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "core/random.h"

namespace dehvf {
namespace {

// A small float: sign, exponent, fraction. What its bits mean, by ldexp.
struct Format {
  int exponent_bits, fraction_bits;
  bool infinity;  // e4m3 has none: only the pattern of ones is NaN
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  uint32_t magnitudes() const { return 1u << (exponent_bits + fraction_bits); }

  double value(uint32_t magnitude) const {
    const uint32_t exponent = magnitude >> fraction_bits, fraction = magnitude & ((1u << fraction_bits) - 1);
    if (exponent + 1 == 1u << exponent_bits) {
      if (infinity) return fraction ? std::nan("") : std::numeric_limits<double>::infinity();
      if (fraction + 1 == 1u << fraction_bits) return std::nan("");
    }
    if (exponent == 0) return std::ldexp(fraction, 1 - bias() - fraction_bits);
    return std::ldexp(double(fraction) + (1 << fraction_bits), int(exponent) - bias() - fraction_bits);
  }
};

template <class T>
Format format();
template <>
Format format<bf16>() {
  return {8, 7, true};
}
template <>
Format format<f16>() {
  return {5, 10, true};
}
template <>
Format format<f8e4m3>() {
  return {4, 3, false};
}

template <class T>
class SmallFloat : public testing::Test {};
using SmallFloats = testing::Types<bf16, f16, f8e4m3>;
TYPED_TEST_SUITE(SmallFloat, SmallFloats);

TYPED_TEST(SmallFloat, EveryPatternMeansItsValueAndRoundTrips) {
  const Format f = format<TypeParam>();
  using Bits = decltype(TypeParam::bits);
  for (uint32_t sign : {0u, 1u})
    for (uint32_t magnitude = 0; magnitude < f.magnitudes(); ++magnitude) {
      TypeParam x;
      x.bits = Bits(magnitude | sign * f.magnitudes());
      const double want = f.value(magnitude);
      const auto got = float(x);
      if (std::isnan(want)) {
        ASSERT_TRUE(std::isnan(got)) << x.bits;
        ASSERT_TRUE(std::isnan(float(TypeParam(got)))) << x.bits;
        continue;
      }
      ASSERT_EQ(double(got), sign ? -want : want) << x.bits;
      ASSERT_EQ(std::signbit(got), sign == 1) << x.bits;
      ASSERT_EQ(TypeParam(got).bits, x.bits);
    }
}

// Between two neighbours: below the midpoint the lower, above it the upper, on it the even one.
TYPED_TEST(SmallFloat, RoundsToNearestEven) {
  const Format f = format<TypeParam>();
  for (uint32_t low = 0; low + 1 < f.magnitudes(); ++low) {
    const double a = f.value(low), b = f.value(low + 1);
    if (!std::isfinite(a) || !std::isfinite(b)) continue;
    const auto middle = float((a + b) / 2);
    if (double(middle) != (a + b) / 2) continue;  // below f32's own steps
    const uint32_t even = low % 2 ? low + 1 : low;
    ASSERT_EQ(TypeParam(middle).bits, even) << middle;
    ASSERT_EQ(TypeParam(std::nextafter(middle, 0.0f)).bits, low) << middle;
    ASSERT_EQ(TypeParam(std::nextafter(middle, INFINITY)).bits, low + 1) << middle;
    ASSERT_EQ(TypeParam(-middle).bits, even | f.magnitudes()) << middle;
  }
}

TYPED_TEST(SmallFloat, OverflowsAtHalfAStepAboveTheLargest) {
  const Format f = format<TypeParam>();
  uint32_t largest = f.magnitudes() - 1;
  while (!std::isfinite(f.value(largest))) --largest;
  const double step = f.value(largest) - f.value(largest - 1);
  const auto limit = float(f.value(largest) + step / 2);
  const auto over = [](float x) { return !std::isfinite(float(TypeParam(x))); };
  EXPECT_EQ(TypeParam(std::nextafter(limit, 0.0f)).bits, largest);
  EXPECT_EQ(over(limit), largest % 2 == 1);  // the step above the largest would be the even one
  EXPECT_TRUE(over(std::nextafter(limit, INFINITY)));
  EXPECT_TRUE(over(INFINITY));
  EXPECT_TRUE(std::isnan(float(TypeParam(NAN))));
  EXPECT_EQ(std::isinf(float(TypeParam(-INFINITY))), f.infinity);
}

TYPED_TEST(SmallFloat, RandomFloatsGoToTheNearest) {
  const Format f = format<TypeParam>();
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    const auto x = float(random.normal() * std::ldexp(1.0, int(random.below(24)) - 16));
    const double got = std::fabs(double(float(TypeParam(x)))), error = std::fabs(got - std::fabs(double(x)));
    const uint32_t bits = TypeParam(x).bits & (f.magnitudes() - 1);
    for (uint32_t other : {bits - 1, bits + 1})
      if (other < f.magnitudes() && std::isfinite(f.value(other)))
        ASSERT_LE(error, std::fabs(f.value(other) - std::fabs(double(x)))) << x;
  }
}

TEST(DType, NamesAndSizes) {
  for (DType dtype :
       {DType::f32, DType::bf16, DType::f16, DType::f64, DType::i32, DType::i64, DType::u8, DType::f8e4m3})
    EXPECT_EQ(dtype_named(name_of(dtype)), dtype);
  EXPECT_EQ(size_of(DType::f64), 8u);
  EXPECT_EQ(size_of(DType::f8e4m3), 1u);
  EXPECT_FALSE(is_float(DType::f8e4m3));  // storage only: no op computes in it
  EXPECT_THROW(dtype_named("float32"), DTypeError);
  EXPECT_THROW(visit_float(DType::i32, []<class T>(std::type_identity<T>) {}), DTypeError);
}

}  // namespace
}  // namespace dehvf
