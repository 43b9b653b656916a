#include "cuda/pinned_pool.h"

#include <cstdlib>
#include <set>

#include <gtest/gtest.h>

#include "core/random.h"

namespace dehvf::cuda {
namespace {

// A taker that can be told to run out of memory.
int taken = 0, given = 0, allowed = 1000;
void* take(size_t bytes) {
  if (taken - given >= allowed) return nullptr;
  ++taken;
  return std::malloc(bytes);
}
void give(void* data) {
  ++given;
  std::free(data);
}

class PinnedPoolTest : public testing::Test {
 protected:
  void SetUp() override { taken = given = 0, allowed = 1000; }
};

TEST_F(PinnedPoolTest, HasFewSizeClassesThatFit) {
  Random random(1);
  std::set<size_t> classes;
  for (int i = 0; i < 10000; ++i) {
    const auto bytes = size_t(random.below(int64_t(1) << random.below(33)));
    const size_t size = PinnedPool::size_class(bytes);
    EXPECT_GE(size, std::max<size_t>(bytes, 1));
    EXPECT_LE(size, std::max<size_t>(bytes + bytes / 8 + 1, (bytes + 4095) / 4096 * 4096 + 4096));
    EXPECT_EQ(PinnedPool::size_class(size), size);
    classes.insert(size);
  }
  EXPECT_LT(classes.size(), 200u);
}

TEST_F(PinnedPoolTest, ReusesWhatFits) {
  void* page = nullptr;
  {
    PinnedPool pool(take, give);
    void* const first = pool.allocate(100000);
    void* const second = pool.allocate(100000);
    EXPECT_NE(first, second);
    pool.free(first, 100000);
    EXPECT_EQ(pool.allocate(99999), first);
    page = pool.allocate(1);
    EXPECT_NE(page, nullptr);
    EXPECT_EQ(taken, 3);
    EXPECT_EQ(given, 0);
    for (void* data : {first, second}) pool.free(data, 100000);
  }
  EXPECT_EQ(given, 2);  // the page that was not freed is still its user's
  give(page);
}

TEST_F(PinnedPoolTest, GivesIdleBlocksBackBeforeItFails) {
  allowed = 1;
  PinnedPool pool(take, give);
  void* const page = pool.allocate(1);
  EXPECT_EQ(pool.allocate(1 << 20), nullptr);
  pool.free(page, 1);
  void* const large = pool.allocate(1 << 20);
  EXPECT_NE(large, nullptr);
  EXPECT_EQ(given, 1);
  pool.free(large, 1 << 20);
}

}  // namespace
}  // namespace dehvf::cuda
