// Kernels of the GPU against the CPU's in f64, on inputs already rounded; the same kernels in the emulator
// and the CPU's own go through the comparison on every machine.
#include <cmath>
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/device_report.h"
#include "core/ops/elementwise.h"
#include "core/ops/norm.h"
#include "core/random.h"
#include "support/message.h"

namespace dehvf {
namespace {

constexpr DType kDtypes[] = {DType::f32, DType::bf16, DType::f16};
constexpr Device kGpu{DeviceKind::cuda, 0}, kEmulator{DeviceKind::emulator, 0};
constexpr double kEps = 1e-5, kRange = 6;

struct Bound {
  double additions = 1;  // K of contracts.md 9
  double magnitude = 0;  // ||a|| ||b||; 0 takes the largest |reference|
  int stores = 1;        // roundings to the storage dtype
};

// |out - ref| <= 4 eps_f32 sqrt(K) ||a|| ||b|| + one rounding per store.
bool close(double got, double want, double largest, DType dtype, const Bound& bound) {
  const double rounding = dtype == DType::bf16 ? 0x1p-8 : dtype == DType::f16 ? 0x1p-11 : 0x1p-24;
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

void expect_close(const Tensor& out, const Tensor& want, const Bound& bound, std::string_view what) {
  const Tensor got = cast(out.to(kCpu), DType::f64);
  const int64_t wrong = first_wrong(got, want, out.dtype(), bound);
  EXPECT_EQ(wrong, -1) << what << " " << out.dtype() << " " << out.shape() << ": element " << wrong << " is "
                       << got.data<double>()[wrong] << ", wanted " << want.data<double>()[wrong];
  // The comparison must be able to fail.
  const Tensor broken = got.clone();
  broken.data<double>()[broken.count() - 1] +=
      0.1 + 0.1 * std::fabs(broken.data<double>()[broken.count() - 1]);
  EXPECT_NE(first_wrong(broken, want, out.dtype(), bound), -1) << what << ": a moved element passed";
}

// [count] random elements that begin `shift` elements behind an aligned address.
Tensor drawn(int64_t count, int64_t shift, DType dtype, Device device, uint64_t key) {
  return random_uniform({shift + count}, -kRange, kRange, key, dtype).to(device).slice(shift, shift + count);
}
Tensor exact(const Tensor& x) { return cast(x.to(kCpu), DType::f64); }

class Parity : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    if (!has_device(GetParam())) GTEST_SKIP() << cuda_report();
  }
  Tensor output(int64_t count, int64_t shift, DType dtype) const {
    return zeros({shift + count + 1}, dtype, GetParam());
  }
};

// Sizes around the packs, the blocks and the warps of the kernels.
constexpr int64_t kCounts[] = {1, 3, 8, 255, 257, 2048, 2053, 40961};

TEST_P(Parity, Activate) {
  for (Activation activation : {Activation::relu, Activation::silu, Activation::gelu, Activation::gelu_tanh,
                                Activation::gelu_quick, Activation::tanh, Activation::sigmoid})
    for (DType dtype : kDtypes)
      for (int64_t count : kCounts)
        for (int64_t shift : {0, 1}) {
          const Tensor x = drawn(count, shift, dtype, GetParam(), random_key({1, uint64_t(count)}));
          const Tensor whole = output(count, shift, dtype), y = whole.slice(shift, shift + count);
          run<Activate>(GetParam().kind, x, activation, y);
          expect_close(y, activate(exact(x), activation), {.additions = 16, .magnitude = kRange},
                       name_of(activation));
          EXPECT_EQ(item(whole.slice(shift + count, shift + count + 1)), 0) << "wrote behind its output";
        }
}

TEST_P(Parity, AddOfTwoDtypes) {
  for (DType dtype : kDtypes)
    for (DType other : kDtypes)
      for (int64_t count : kCounts)
        for (int64_t shift : {0, 1}) {
          const Tensor a = drawn(count, 0, dtype, GetParam(), random_key({2, uint64_t(count)}));
          const Tensor b = drawn(count, shift, other, GetParam(), random_key({3, uint64_t(count)}));
          const Tensor whole = output(count, shift, dtype), y = whole.slice(shift, shift + count);
          run<Add>(GetParam().kind, a, b, -0.3, y);
          expect_close(y, add(exact(a), exact(b), -0.3), {.additions = 2, .magnitude = kRange}, "add");
          EXPECT_EQ(item(whole.slice(shift + count, shift + count + 1)), 0) << "wrote behind its output";
          const Tensor want = add(exact(a), exact(b), 2);
          add_into(b, a, 2);  // in place
          expect_close(a, want, {.additions = 2, .magnitude = 2 * kRange}, "add_into");
        }
}

TEST_P(Parity, RmsNormOfTwoDtypes) {
  for (DType dtype : kDtypes)
    for (DType other : kDtypes)
      for (int64_t width : {1, 7, 8, 64, 611, 1024, 4096, 5000, 9001})
        for (int64_t shift : {0, 1}) {
          const int64_t rows = 5;
          const Tensor x = drawn(rows * width, shift, dtype, GetParam(), random_key({4, uint64_t(width)}))
                               .reshape({rows, width});
          const Tensor weight = drawn(width, 0, other, GetParam(), 5);
          const RmsNormResult got = rms_norm(x, weight, kEps), want = rms_norm(exact(x), exact(weight), kEps);
          const Bound bound{.additions = double(width), .stores = 2};
          expect_close(got.y, want.y, bound, "rms_norm");
          EXPECT_EQ(got.inv_rms.dtype(), DType::f32);
          expect_close(got.inv_rms, want.inv_rms, {.additions = double(width)}, "inv_rms");
        }
}

// With the row's own inv_rms the two roundings are known exactly.
TEST_P(Parity, RmsNormRoundsBeforeTheWeight) {
  const int64_t rows = 3, width = 769;
  const Tensor x = random_normal({rows, width}, 2, 6, DType::bf16);
  const Tensor weight = random_uniform({width}, 0.5, 1.5, 7, DType::bf16);
  const RmsNormResult got = rms_norm(x.to(GetParam()), weight.to(GetParam()), 1e-6);
  const Tensor y = got.y.to(kCpu), inv = got.inv_rms.to(kCpu);
  for (int64_t i = 0; i < rows * width; ++i) {
    const bf16 normalised(float(x.data<bf16>()[i]) * inv.data<float>()[i / width]);
    const bf16 want(float(normalised) * float(weight.data<bf16>()[i % width]));
    ASSERT_EQ(y.data<bf16>()[i].bits, want.bits) << i;
  }
}

TEST_P(Parity, RepeatsBitForBit) {
  const Tensor x = random_normal({17, 5003}, 1, 8, DType::f16).to(GetParam());
  const Tensor weight = random_normal({5003}, 1, 9).to(GetParam());
  const Tensor first = rms_norm(x, weight, kEps).y.to(kCpu), second = rms_norm(x, weight, kEps).y.to(kCpu);
  EXPECT_EQ(std::memcmp(first.raw(), second.raw(), first.bytes()), 0);
}

TEST_P(Parity, TakesNoRowsAndPassesNanOn) {
  EXPECT_EQ(
      rms_norm(Tensor({0, 8}, DType::f32, GetParam()), full({8}, 1, DType::f32, GetParam()), kEps).y.count(),
      0);
  EXPECT_EQ(activate(Tensor({0}, DType::f32, GetParam()), Activation::relu).count(), 0);
  for (Activation activation : {Activation::silu, Activation::gelu, Activation::gelu_tanh,
                                Activation::gelu_quick, Activation::tanh, Activation::sigmoid}) {
    const Tensor nan = tensor_of(std::vector<float>{NAN}).to(GetParam());
    EXPECT_TRUE(std::isnan(item(activate(nan, activation)))) << name_of(activation);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, Parity, testing::Values(kCpu, kEmulator, kGpu),
                         [](const auto& info) { return concat(info.param.kind); });

// Memory of the host dressed up as the GPU's: nothing may run on it, but the error can be read.
TEST(CudaLaunch, FailsWithTheNameOfItsKernelWhereThereIsNoDevice) {
  if (has_device(kGpu)) GTEST_SKIP() << "there is a device";
  if (!built_with_cuda()) GTEST_SKIP() << cuda_report();
  const Tensor host = zeros({2, 8});
  const auto lent = [&](const Tensor& tensor) {
    return Tensor(std::make_shared<Storage>(tensor.raw(), tensor.bytes(), kGpu, std::make_shared<int>(0)), 0,
                  tensor.shape(), tensor.dtype());
  };
  const Tensor x = lent(host);
  EXPECT_THAT(message_of<DeviceError>([&] { run<Activate>(DeviceKind::cuda, x, Activation::silu, x); }),
              testing::ContainsRegex("^activate: cudaError[A-Za-z]+ \\([0-9]+\\), .+, at [a-z_.]+:[0-9]+"));
  const Tensor inv = lent(zeros({2})), weight = lent(zeros({8}));
  EXPECT_THAT(message_of<DeviceError>([&] { run<RmsNorm>(DeviceKind::cuda, x, weight, kEps, x, inv); }),
              testing::ContainsRegex("^rms_norm: cudaError.*, at norm\\.cu:[0-9]+"));
  const Tensor wide = lent(zeros({2}, DType::f64));
  EXPECT_EQ(message_of<DTypeError>([&] { run<Activate>(DeviceKind::cuda, wide, Activation::silu, wide); }),
            "activate: wanted f32, bf16 or f16 on cuda, found f64");
  EXPECT_THAT(message_of<DeviceError>([&] { x.to(kCpu); }), testing::HasSubstr("device cuda:0 is not here"));
}

}  // namespace
}  // namespace dehvf
