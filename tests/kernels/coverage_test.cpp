#include <algorithm>

#include <gtest/gtest.h>

#include "core/registry.h"

namespace dehvf {
namespace {

// What runs on the CPU runs in the emulator, and on a GPU where the build has kernels for one.
TEST(Coverage, EveryOpHasAKernelOnEveryDevice) {
  const auto& catalog = kernel_catalog();
  const auto has = [&](const std::string& tag, DeviceKind device) {
    return std::ranges::count(catalog, std::pair(tag, KernelKey{device})) == 1;
  };
  const bool cuda =
      std::ranges::any_of(catalog, [](const auto& entry) { return entry.second.device == DeviceKind::cuda; });
  int ops = 0;
  for (const auto& [tag, key] : catalog) {
    if (key != KernelKey{DeviceKind::cpu}) continue;
    ++ops;
    EXPECT_TRUE(has(tag, DeviceKind::emulator)) << tag << " has no kernel in cuda/kernels";
    if (cuda) EXPECT_TRUE(has(tag, DeviceKind::cuda)) << tag << " has no kernel on cuda";
  }
  EXPECT_GT(ops, 40);
}

}  // namespace
}  // namespace dehvf
