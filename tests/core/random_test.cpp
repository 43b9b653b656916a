#include "core/random.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace dehvf {
namespace {

using Words = std::array<uint32_t, 4>;

// The known answers for philox4x32-10 that accompany Salmon et al., SC 2011: zeros, ones, digits of pi.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, ~uint64_t(0)),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomKey, EveryPartCounts) {
  std::set<uint64_t> keys;
  for (const auto& parts : std::vector<std::vector<uint64_t>>{
           {0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {uint64_t(1) << 32, 0, 0}, {2, 0, 0}})
    keys.insert(random_key({parts[0], parts[1], parts[2]}));
  keys.insert(random_key({0, 0}));
  EXPECT_EQ(keys.size(), 7u);
  EXPECT_NE(random_key({1, 2}), random_key({2, 1}));
}

TEST(Random, UnitIntervalIsOpen) {
  EXPECT_GT(unit_interval(0), 0);
  EXPECT_LT(unit_interval(~0u), 1);
}

TEST(Random, MomentsOfUniformAndNormal) {
  Random random(7);
  constexpr int kDraws = 40000;
  double sum = 0, squares = 0, fourth = 0, uniform = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double v = random.normal();
    sum += v, squares += v * v, fourth += v * v * v * v;
    uniform += random.uniform();
  }
  // Five standard errors: variances 1, 2, 96 and 1/12 a draw.
  const double error = 5 / std::sqrt(kDraws);
  EXPECT_NEAR(sum / kDraws, 0, error);
  EXPECT_NEAR(squares / kDraws, 1, error * std::sqrt(2));
  EXPECT_NEAR(fourth / kDraws, 3, error * std::sqrt(96));
  EXPECT_NEAR(uniform / kDraws, 0.5, error * std::sqrt(1.0 / 12));
}

TEST(Random, BelowCoversItsRangeEvenly) {
  Random random(8);
  std::vector<int> counts(7);
  for (int i = 0; i < 7000; ++i) ++counts.at(size_t(random.below(7)));
  for (int count : counts) EXPECT_NEAR(count, 1000, 5 * std::sqrt(1000 * 6 / 7.0));
  EXPECT_EQ(random.below(1), 0);
  EXPECT_LT(random.below(int64_t(1) << 32), int64_t(1) << 32);
  EXPECT_THROW(random.below(0), Error);
  EXPECT_THROW(random.below((int64_t(1) << 32) + 1), Error);
}

TEST(Random, ShufflePermutes) {
  std::vector<int> items(101), sorted;
  std::iota(items.begin(), items.end(), 0);
  sorted = items;
  Random(9).shuffle(items);
  EXPECT_NE(items, sorted);
  std::ranges::sort(items);
  EXPECT_EQ(items, sorted);
}

TEST(RandomTensors, DependOnTheKeyAlone) {
  const Tensor a = random_normal({3, 5}, 2, 11), b = random_normal({15}, 2, 11);
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0);
  const Tensor c = random_normal({3, 5}, 2, 12);
  EXPECT_NE(std::memcmp(a.raw(), c.raw(), a.bytes()), 0);
  const Tensor uniform = random_uniform({1000}, -3, 2, 13);
  for (float v : uniform.span<float>()) EXPECT_TRUE(v >= -3 && v <= 2);
}

}  // namespace
}  // namespace dehvf
