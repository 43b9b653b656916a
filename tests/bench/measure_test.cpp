// Variants of a kernel in turns.
#include <gtest/gtest.h>

#include "bench/kernel_bench.h"
#include "core/error.h"

namespace dehvf {
namespace {

TEST(Measure, AVariantThatDoesNotRunLeavesTheOthersTheirRows) {
  int runs = 0;
  const KernelCase what{.slot = "add",
                        .shape = "[8]",
                        .bytes = 64,
                        .flops = 8,
                        .variants = {{DeviceKind::cpu, "cudnn"}, {DeviceKind::cpu}},
                        .make = [&](const Workbench&) {
                          return [&](const KernelKey& key) {
                            require(key.variant.empty(), "add: cudnn does not take [8]");
                            ++runs;
                          };
                        }};
  const Json rows = measure(what, Workbench(kCpu, true));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["variant"], "cudnn");
  EXPECT_EQ(rows[0]["failed"], "add: cudnn does not take [8]");
  EXPECT_EQ(rows[1]["variant"], "");
  EXPECT_TRUE(rows[1].contains("us"));
  EXPECT_GE(runs, 1);
}

}  // namespace
}  // namespace dehvf
