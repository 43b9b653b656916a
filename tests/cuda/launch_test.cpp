#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/device_report.h"
#include "core/ops/elementwise.h"
#include "core/ops/norm.h"
#include "support/message.h"

namespace dehvf {
namespace {

constexpr Device kGpu{DeviceKind::cuda, 0};

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
  EXPECT_THAT(message_of<DeviceError>([&] { run<RmsNorm>(DeviceKind::cuda, x, weight, 1e-5, x, inv); }),
              testing::ContainsRegex("^rms_norm: cudaError.*, at norm\\.cu:[0-9]+"));
  const Tensor wide = lent(zeros({2}, DType::f64));
  EXPECT_EQ(message_of<DTypeError>([&] { run<Activate>(DeviceKind::cuda, wide, Activation::silu, wide); }),
            "activate: wanted f32, bf16 or f16 on cuda, found f64");
  EXPECT_THAT(message_of<DeviceError>([&] { x.to(kCpu); }), testing::HasSubstr("device cuda:0 is not here"));
}

}  // namespace
}  // namespace dehvf
