#include "support/parity.h"

#include <cmath>

namespace dehvf {
namespace {

double rounding_of(DType dtype) {
  return dtype == DType::bf16  ? 0x1p-8
         : dtype == DType::f16 ? 0x1p-11
         : dtype == DType::f32 ? 0x1p-24
                               : 0x1p-53;
}

// The error of `got` as a share of what contracts.md 9 allows; above 1, and for NaN alone, it is wrong.
double share_of_bound(double got, double want, double largest, DType dtype, const Bound& bound) {
  const double rounding = rounding_of(dtype);
  const double smallest = dtype == DType::f16 ? 0x1p-25 : 0;  // below it f16 has fixed steps
  const double magnitude = bound.magnitude > 0 ? bound.magnitude : largest;
  const double allowed = 4 * 0x1p-24 * std::sqrt(bound.additions) * magnitude + smallest +
                         rounding * (std::fabs(want) + (bound.stores - 1) * largest) +
                         std::sqrt(bound.rounded) * rounding_of(bound.held) / 2 * magnitude;
  if (got == want) return 0;
  const double share = std::fabs(got - want) / allowed;
  return std::isnan(share) ? INFINITY : share;
}

struct Worst {
  int64_t element = -1;
  double share = 0;
};

Worst worst_of(const Tensor& got, const Tensor& want, DType dtype, const Bound& bound) {
  double largest = 0;
  for (double v : want.span<double>()) largest = std::max(largest, std::fabs(v));
  Worst worst;
  for (int64_t i = 0; i < want.count(); ++i) {
    const double share = share_of_bound(got.data<double>()[i], want.data<double>()[i], largest, dtype, bound);
    if (share > worst.share) worst = {i, share};
  }
  return worst;
}

// The largest share of a bound in the running test, for the test's report.
void report(double share) {
  static const testing::TestInfo* test = nullptr;
  static double largest = 0;
  const testing::TestInfo* const now = testing::UnitTest::GetInstance()->current_test_info();
  if (now != test) test = now, largest = 0;
  largest = std::max(largest, share);
  testing::Test::RecordProperty("worst", concat(largest));
}

}  // namespace

void expect_close(const Tensor& out, const Tensor& want, const Bound& bound, std::string_view what) {
  ASSERT_EQ(out.shape(), want.shape()) << what;
  const Tensor got = exact(out);
  const Worst worst = worst_of(got, want, out.dtype(), bound);
  report(worst.share);
  if (worst.share > 1)
    ADD_FAILURE() << what << " " << out.dtype() << " " << out.shape() << ": element " << worst.element
                  << " is " << got.data<double>()[worst.element] << ", wanted "
                  << want.data<double>()[worst.element] << ", " << worst.share << " times the bound";
  if (got.count() == 0) return;
  const Tensor broken = got.clone();
  double& last = broken.data<double>()[broken.count() - 1];
  last += 0.1 + 0.1 * std::fabs(last);
  EXPECT_GT(worst_of(broken, want, out.dtype(), bound).share, 1) << what << ": a moved element passed";
}

Tensor drawn(int64_t count, int64_t shift, DType dtype, Device device, uint64_t key, double range) {
  return random_uniform({shift + count}, -range, range, key, dtype).to(device).slice(shift, shift + count);
}

std::string place_name(const testing::TestParamInfo<Place>& info) {
  return concat(info.param.device.kind, info.param.delivery == simt::Delivery::late ? "_late" : "");
}

void Parity::SetUp() {
  if (!has_device(device())) GTEST_SKIP() << cuda_report();
}

Tensor Parity::output(int64_t count, int64_t shift, DType dtype) const {
  return zeros({shift + count + 1}, dtype, device());
}

void Parity::expect_untouched_behind(const Tensor& whole, int64_t end) {
  EXPECT_EQ(item(whole.slice(end, end + 1)), 0) << "wrote behind its output";
}

}  // namespace dehvf
