// The prefetch queue: order, bound, exceptions, shutdown.
#include "data/prefetch.h"

#include <atomic>
#include <memory>

#include <gtest/gtest.h>

#include "core/error.h"

namespace dehvf {
namespace {

TEST(Prefetch, GivesResultsInOrder) {
  for (int workers : {1, 2, 5})
    for (int depth : {1, 3, 64}) {
      Prefetch<int64_t> queue(101, depth, workers, [](int64_t i) {
        for (int64_t spin = 0; spin < (i * 7919) % 13; ++spin) std::this_thread::yield();
        return i * i;
      });
      for (int64_t i = 0; i < 101; ++i) EXPECT_EQ(queue.next(), i * i);
      EXPECT_EQ(queue.next(), std::nullopt);
      EXPECT_EQ(queue.next(), std::nullopt);
    }
}

TEST(Prefetch, RunsAheadByItsDepthAndNoFurther) {
  std::atomic<int64_t> made{0}, taken{0}, worst{0};
  Prefetch<int64_t> queue(300, 4, 3, [&](int64_t i) {
    int64_t ahead = made.fetch_add(1) + 1 - taken.load();
    for (int64_t seen = worst.load(); ahead > seen && !worst.compare_exchange_weak(seen, ahead);) {
    }
    return i;
  });
  while (made.load() < 4) std::this_thread::yield();  // it works before anything is asked for
  for (int64_t i = 0; i < 300; ++i) {
    // Counted as taken before the call: a worker may start the next result while the call returns.
    taken.fetch_add(1);
    EXPECT_EQ(queue.next(), i);
  }
  EXPECT_EQ(made.load(), 300);
  EXPECT_LE(worst.load(), 4);
}

TEST(Prefetch, CarriesMoveOnlyResults) {
  Prefetch<std::unique_ptr<int>> queue(3, 2, 1, [](int64_t i) { return std::make_unique<int>(int(i)); });
  EXPECT_EQ(**queue.next(), 0);
  EXPECT_EQ(**queue.next(), 1);
}

TEST(Prefetch, RethrowsAtTheIndexThatFailed) {
  Prefetch<int64_t> queue(50, 8, 3, [](int64_t i) -> int64_t {
    if (i >= 10) fail<IoError>("sample ", i);
    return i;
  });
  for (int64_t i = 0; i < 10; ++i) EXPECT_EQ(queue.next(), i);
  for (int again = 0; again < 3; ++again) try {
      queue.next();
      ADD_FAILURE() << "no exception";
    } catch (const IoError& error) {
      EXPECT_STREQ(error.what(), "sample 10");
    }
}

TEST(Prefetch, StopsAtAnyMoment) {
  std::atomic<int64_t> alive{0};
  struct Counted {
    std::atomic<int64_t>* alive;
    explicit Counted(std::atomic<int64_t>* a) : alive(a) { ++*alive; }
    Counted(Counted&& other) : alive(std::exchange(other.alive, nullptr)) {}
    Counted& operator=(Counted&& other) {
      std::swap(alive, other.alive);
      return *this;
    }
    ~Counted() {
      if (alive) --*alive;
    }
  };
  for (int64_t taken = 0; taken < 40; ++taken) {
    Prefetch<Counted> queue(int64_t(1) << 60, 3, 2, [&](int64_t) { return Counted(&alive); });
    for (int64_t i = 0; i < taken % 7; ++i) queue.next();
  }
  EXPECT_EQ(alive.load(), 0);
  Prefetch<int> empty(0, 1, 2, [](int64_t) { return 1; });
  EXPECT_EQ(empty.next(), std::nullopt);
  EXPECT_THROW(Prefetch<int>(1, 0, 1, [](int64_t) { return 1; }), Error);
}

}  // namespace
}  // namespace dehvf
