// What a user is told about CUDA, and what was compiled in.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/device_report.h"
#include "core/ops/elementwise.h"
#include "core/ops/norm.h"

namespace dehvf {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

TEST(CudaReport, IsOneLineThatAgreesWithTheRuntime) {
  const std::string report = cuda_report();
  EXPECT_THAT(report, Not(HasSubstr("\n")));
  if (!built_with_cuda()) {
    EXPECT_THAT(report, HasSubstr("-DDEHVF_CUDA=ON"));
  } else if (has_device({DeviceKind::cuda, 0})) {
    EXPECT_THAT(report, testing::StartsWith("cuda:0 "));
    EXPECT_THAT(report, testing::ContainsRegex("compute [0-9]+\\.[0-9], [0-9]+\\.[0-9] GiB"));
    EXPECT_THAT(report, testing::ContainsRegex("driver [0-9]+\\.[0-9], runtime [0-9]+\\.[0-9]"));
  } else {  // no driver, a stub of one, no device; or devices that are too old
    EXPECT_THAT(report, AnyOf(HasSubstr("no CUDA device: cudaError"), HasSubstr("not used: ")));
    EXPECT_THAT(report, testing::ContainsRegex("driver .*, runtime [0-9]+\\.[0-9]"));
  }
}

TEST(CudaRegistry, HoldsTheKernelsThatWereBuilt) {
  int found = 0;
  for (const auto& [kernel, key] : kernel_catalog()) found += key.device == DeviceKind::cuda;
  if (!built_with_cuda()) {
    EXPECT_EQ(found, 0);
    return;
  }
  for (std::string_view wanted : {Activate::name, Add::name, RmsNorm::name})
    EXPECT_TRUE(std::ranges::any_of(kernel_catalog(), [&](const auto& entry) {
      return entry.first == wanted && entry.second == KernelKey{DeviceKind::cuda};
    })) << wanted;
}

}  // namespace
}  // namespace dehvf
