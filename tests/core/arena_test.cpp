#include "core/arena.h"

#include <cstdlib>
#include <map>

#include <gtest/gtest.h>

#include "core/memory.h"
#include "core/random.h"

namespace dehvf {
namespace {

// Where chunks come from, and how many are out.
struct Chunks {
  Arena::Take take() {
    return [this](size_t bytes) {
      if (out == allowed) fail<OutOfMemory>("no more");
      void* const data = std::aligned_alloc(256, bytes);
      out += 1, held += bytes;
      return data;
    };
  }
  Arena::Give give() {
    return [this](void* data, size_t bytes) { std::free(data), out -= 1, held -= bytes; };
  }
  int out = 0, allowed = 1000;
  size_t held = 0;
};

TEST(Arena, BlocksAreAlignedApartAndCutAgain) {
  Chunks chunks;
  Arena arena(chunks.take(), chunks.give());
  const auto hold = arena.hold();
  Random random(1);
  std::map<std::byte*, size_t> used;
  for (int i = 0; i < 20000; ++i) {
    if (random.below(2) == 0 || used.empty()) {
      const auto bytes = size_t(random.below(int64_t(1) << random.below(25)));
      auto* const data = static_cast<std::byte*>(arena.allocate(bytes));
      ASSERT_EQ(reinterpret_cast<uintptr_t>(data) % 256, 0u);
      const auto [at, fresh] = used.emplace(data, bytes);
      ASSERT_TRUE(fresh);
      if (at != used.begin()) ASSERT_LE(std::prev(at)->first + std::prev(at)->second, data);
      if (std::next(at) != used.end()) ASSERT_LE(data + bytes, std::next(at)->first);
    } else {
      const auto any = std::next(used.begin(), random.below(int64_t(used.size())));
      ASSERT_TRUE(arena.free(any->first));
      used.erase(any);
    }
    ASSERT_EQ(arena.bytes(), chunks.held);
  }
  for (const auto& [data, bytes] : used) EXPECT_TRUE(arena.free(data));
  EXPECT_GT(chunks.out, 0);
}

// The work of a step again: what was freed is whole again, so no chunk is added.
TEST(Arena, TheSameRequestsNeedTheSameChunks) {
  Chunks chunks;
  Arena arena(chunks.take(), chunks.give());
  const auto hold = arena.hold();
  std::vector<void*> first;
  for (int round = 0; round < 3; ++round) {
    std::vector<void*> blocks;
    for (size_t bytes : {100u, 5u << 20, 1u, 9u << 20, 300000u, 0u}) blocks.push_back(arena.allocate(bytes));
    if (round == 0) first = blocks;
    EXPECT_EQ(blocks, first);
    for (size_t i : {3u, 0u, 5u, 1u, 4u, 2u}) EXPECT_TRUE(arena.free(blocks[i]));
  }
}

TEST(Arena, GivesChunksBackBehindTheLastHoldAndBlock) {
  Chunks chunks;
  Arena arena(chunks.take(), chunks.give());
  auto one = arena.hold(), two = arena.hold();
  void* const data = arena.allocate(1000);
  one.reset();
  EXPECT_EQ(chunks.out, 1);
  two.reset();
  EXPECT_EQ(chunks.out, 1);
  EXPECT_TRUE(arena.free(data));
  EXPECT_EQ(chunks.out, 0);
  EXPECT_FALSE(arena.free(data));
  EXPECT_FALSE(arena.free(&chunks));
  EXPECT_TRUE(arena.free(arena.allocate(1)));
  EXPECT_EQ(chunks.out, 0);
}

TEST(Arena, OutlivesARefusal) {
  Chunks chunks;
  Arena arena(chunks.take(), chunks.give());
  const auto hold = arena.hold();
  chunks.allowed = 1;
  void* const data = arena.allocate(1 << 20);
  EXPECT_THROW(arena.allocate(100 << 20), OutOfMemory);
  EXPECT_NE(arena.allocate(1 << 20), data);
}

}  // namespace
}  // namespace dehvf
