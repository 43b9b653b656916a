#include "bench/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "support/message.h"

namespace dehvf {
namespace {

Json row(const char* slot, const char* variant, double low, double median, double high) {
  return {{"slot", slot}, {"variant", variant}, {"shape", "[2, 3]"}, {"rounds", 7},
          {"us", median}, {"low_us", low},      {"high_us", high}};
}
Json result(Json rows) { return {{"what", "kernels"}, {"kernels", std::move(rows)}}; }

TEST(BenchDiff, CallsADifferenceOnlyWhatIsOutsideOfTheNoise) {
  const Json before = result({row("add", "", 10, 11, 12), row("rope", "", 10, 11, 12),
                              row("matmul", "naive", 10, 11, 12), row("gone", "", 1, 1, 1)});
  const Json after = result({row("add", "", 11.9, 14, 15), row("rope", "", 12.1, 12.2, 12.3),
                             row("matmul", "naive", 8, 9, 9.9), row("new", "", 1, 1, 1)});
  const auto changes = bench_diff(before, after);
  ASSERT_EQ(changes.size(), 3u);
  EXPECT_EQ(changes[0].what, "add [2, 3]");
  EXPECT_EQ(changes[0].verdict, BenchChange::same) << "the bands meet";
  EXPECT_EQ(changes[1].what, "matmul/naive [2, 3]");
  EXPECT_EQ(changes[1].verdict, BenchChange::faster);
  EXPECT_EQ(changes[1].before, 11);
  EXPECT_EQ(changes[1].after, 9);
  EXPECT_EQ(changes[2].verdict, BenchChange::slower);
}

TEST(BenchDiff, ReadsStepsToo) {
  const auto step = [](double median) {
    return Json{{"what", "step"}, {"step", Json::array({row("step", "", median - 1, median, median + 1)})}};
  };
  const auto changes = bench_diff(step(10), step(20));
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].what, "step [2, 3]");
  EXPECT_EQ(changes[0].verdict, BenchChange::slower);
}

TEST(BenchDiff, RefusesWhatIsNoMeasurement) {
  const Json good = result({row("add", "", 1, 2, 3)});
  EXPECT_EQ(message_of<IoError>([&] { bench_diff(Json::object(), good); }),
            "before: wanted a result of `dehvf bench kernels` or of `dehvf bench step`");
  Json quick = good;
  quick["kernels"][0]["rounds"] = 1;
  EXPECT_THAT(message_of<IoError>([&] { bench_diff(good, quick); }),
              testing::HasSubstr("after: measured in fewer than 3 rounds"));
  Json lacking = good;
  lacking["kernels"][0].erase("us");
  EXPECT_THAT(message_of<IoError>([&] { bench_diff(good, lacking); }), testing::HasSubstr("'us'"));
  Json failed = good;
  failed["kernels"][0] = {{"slot", "add"}, {"shape", "[2, 3]"}, {"failed", "out of memory"}};
  EXPECT_TRUE(bench_diff(good, failed).empty());
}

}  // namespace
}  // namespace dehvf
