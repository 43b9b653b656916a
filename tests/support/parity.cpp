#include "support/parity.h"

#include <cmath>

namespace dehvf {
namespace {

bool close(double got, double want, double largest, DType dtype, const Bound& bound) {
  const double rounding = dtype == DType::bf16  ? 0x1p-8
                          : dtype == DType::f16 ? 0x1p-11
                          : dtype == DType::f32 ? 0x1p-24
                                                : 0x1p-53;
  const double smallest = dtype == DType::f16 ? 0x1p-25 : 0;  // below it f16 has fixed steps
  const double magnitude = bound.magnitude > 0 ? bound.magnitude : largest;
  return std::fabs(got - want) <= 4 * 0x1p-24 * std::sqrt(bound.additions) * magnitude + smallest +
                                      rounding * (std::fabs(want) + (bound.stores - 1) * largest);
}

int64_t first_wrong(const Tensor& got, const Tensor& want, DType dtype, const Bound& bound) {
  double largest = 0;
  for (double v : want.span<double>()) largest = std::max(largest, std::fabs(v));
  for (int64_t i = 0; i < want.count(); ++i)
    if (!close(got.data<double>()[i], want.data<double>()[i], largest, dtype, bound)) return i;
  return -1;
}

}  // namespace

void expect_close(const Tensor& out, const Tensor& want, const Bound& bound, std::string_view what) {
  ASSERT_EQ(out.shape(), want.shape()) << what;
  const Tensor got = exact(out);
  if (const int64_t wrong = first_wrong(got, want, out.dtype(), bound); wrong >= 0)
    ADD_FAILURE() << what << " " << out.dtype() << " " << out.shape() << ": element " << wrong << " is "
                  << got.data<double>()[wrong] << ", wanted " << want.data<double>()[wrong];
  if (got.count() == 0) return;
  const Tensor broken = got.clone();
  double& last = broken.data<double>()[broken.count() - 1];
  last += 0.1 + 0.1 * std::fabs(last);
  EXPECT_NE(first_wrong(broken, want, out.dtype(), bound), -1) << what << ": a moved element passed";
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
