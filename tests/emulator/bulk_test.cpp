// Bugs planted around bulk copies and products of warpgroups, and the one line that reports each, whenever
// the asynchronous work arrives.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cuda/emulator/delivery.h"
#include "cuda/launch.cuh"
#include "cuda/ptx/cluster.cuh"
#include "cuda/ptx/fence.cuh"
#include "cuda/ptx/mbarrier.cuh"
#include "cuda/ptx/tma.cuh"
#include "cuda/ptx/wgmma.cuh"
#include "cuda/shared.cuh"
#include "emulator/races.h"
#include "support/message.h"

namespace dehvf::cuda {
namespace {

using simt::Delivery;
using testing::MatchesRegex;

constexpr unsigned kTile = 64 * 64, kBytes = kTile * 2;

struct Memory {
  alignas(1024) __nv_bfloat16 tile[2][kTile];
  uint64_t full;
};

struct alignas(16) Global {
  __nv_bfloat16 tile[kTile];
};

std::string report(Delivery delivery, unsigned threads, const std::function<void(Memory&)>& kernel) {
  const simt::DeliveryScope scope(delivery);
  const std::string message = message_of<simt::KernelFault>([&] {
    simt::run_grid({"probe", std::source_location::current(), 1, threads, sizeof(Memory)}, [&] {
      Memory& s = *dynamic_shared<Memory>();
      if (threadIdx.x == 0) {
        ptx::mbarrier_init(&s.full, 1);
        ptx::fence_mbarrier_init();
      }
      __syncthreads();
      kernel(s);
    });
  });
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return message;
}

void expect_report(unsigned threads, const std::function<void(Memory&)>& kernel, const std::string& pattern) {
  for (const Delivery delivery : {Delivery::eager, Delivery::late})
    EXPECT_THAT(report(delivery, threads, kernel), MatchesRegex(pattern)) << (delivery == Delivery::late);
}

void load(Memory& s, int stage, const Global& from) {
  ptx::mbarrier_arrive_expect_tx(&s.full, kBytes);
  ptx::bulk_load(s.tile[stage], &from, kBytes, &s.full);
}

void fill(Memory& s, float value) {
  for (unsigned i = threadIdx.x; i < kTile; i += blockDim.x) s.tile[0][i] = __float2bfloat16_rn(value);
}

uint64_t operand(const __nv_bfloat16* at) { return ptx::wgmma_descriptor(at, Swizzle::b128, 16, 1024); }

void multiply(float (&d)[32], const Memory& s) {
  ptx::wgmma_fence(d);
  ptx::wgmma<__nv_bfloat16>(d, operand(s.tile[0]), operand(s.tile[0]), false);
  ptx::wgmma_commit();
}

TEST(BulkReports, AMissingWaitForACopy) {
  const Global from{};
  expect_report(
      128,
      [&](Memory& s) {
        if (threadIdx.x == 0) load(s, 0, from);
        __syncthreads();
        float d[32];
        multiply(d, s);
        ptx::wgmma_wait<0>(d);
      },
      "probe: wgmma, bulk_test.cpp:[0-9]+: reads what bulk_load, bulk_test.cpp:[0-9]+ brings, but nobody has "
      "waited "
      "for that, thread [0-9]+ .*");
  expect_report(
      32,
      [&](Memory& s) {
        if (threadIdx.x > 0) return;
        load(s, 0, from);
        ptx::bulk_store(const_cast<Global*>(&from), s.tile[0], kBytes);
      },
      "probe: bulk_store, .*: reads what bulk_load, .* brings, but nobody has waited for that, thread [0-9]+ "
      ".*");
}

TEST(BulkReports, WhatIsReadWithoutAWaitIsNanWhenItComesLate) {
  if (races_are_seen()) GTEST_SKIP() << "a race, in a test of its own";
  const Global from{};
  float seen = 0;
  EXPECT_EQ(report(Delivery::late, 1,
                   [&](Memory& s) {
                     s.tile[0][5] = __float2bfloat16_rn(1);
                     load(s, 0, from);
                     seen = __bfloat162float(s.tile[0][5]);
                     ptx::mbarrier_wait(&s.full, 0);
                   }),
            "(no exception)");
  EXPECT_TRUE(std::isnan(seen));
}

TEST(BulkReports, AStageThatIsLoadedBeforeItsRelease) {
  const Global from{};
  expect_report(
      128,
      [&](Memory& s) {
        if (threadIdx.x == 0) load(s, 0, from);
        ptx::mbarrier_wait(&s.full, 0);
        float d[32];
        multiply(d, s);
        __syncthreads();
        if (threadIdx.x == 0) load(s, 0, from);
        __syncthreads();
        ptx::wgmma_wait<0>(d);
        ptx::mbarrier_wait(&s.full, 1);
      },
      "probe: bulk_load, .*: overwrites what wgmma, .* reads, but nobody has waited for that, thread [0-9]+ "
      ".*");
  expect_report(
      1,
      [&](Memory& s) {
        ptx::mbarrier_expect_tx(&s.full, kBytes);
        ptx::bulk_load(s.tile[0], &from, kBytes, &s.full);
        ptx::bulk_load(s.tile[0], &from, kBytes, &s.full);
      },
      "probe: bulk_load, .*: overwrites what bulk_load, .* brings, but nobody has waited for that, thread 0 "
      ".*");
  Global to;
  expect_report(
      1,
      [&](Memory& s) {
        load(s, 0, from);
        ptx::mbarrier_wait(&s.full, 0);
        ptx::bulk_store(&to, s.tile[0], kBytes);
        ptx::bulk_commit();
        load(s, 0, from);
      },
      "probe: bulk_load, .*: overwrites what bulk_store, .* reads, but nobody has waited for that, thread 0 "
      ".*");
}

TEST(BulkReports, OperandsThatThreadsOverwrite) {
  if (races_are_seen()) GTEST_SKIP() << "a race";
  expect_report(
      128,
      [](Memory& s) {
        fill(s, 1);
        ptx::fence_proxy_async();
        __syncthreads();
        float d[32];
        multiply(d, s);
        __syncthreads();
        fill(s, 2);
        __syncthreads();
        ptx::wgmma_wait<0>(d);
      },
      "probe: shared memory that wgmma, .* reads was overwritten before the wait, thread [0-9]+ .*");
  Global to;
  expect_report(
      1,
      [&](Memory& s) {
        fill(s, 1);
        ptx::fence_proxy_async();
        ptx::bulk_store(&to, s.tile[0], kBytes);
        ptx::bulk_commit();
        fill(s, 2);
        ptx::bulk_wait_read<0>();
      },
      "probe: shared memory that bulk_store, .* reads was overwritten before the wait, thread [0-9]+ .*");
}

// The fence is on the storing side, and there by every thread that stored.
TEST(BulkReports, AMissingProxyFence) {
  const auto kernel = [](int fence) {
    return [=](Memory& s) {
      fill(s, 1);
      if (fence == 2 || (fence == 1 && threadIdx.x == 0)) ptx::fence_proxy_async();
      __syncthreads();
      float d[32];
      multiply(d, s);
      ptx::wgmma_wait<0>(d);
      if (d[7] != 16) fail<ShapeError>("wrong product");
    };
  };
  const std::string pattern =
      "probe: wgmma, .*: reads what threads stored without a fence_proxy_async behind it, thread [0-9]+ .*";
  expect_report(128, kernel(0), pattern);
  expect_report(128, kernel(1), pattern);
  expect_report(128, kernel(2), ".no exception.");
  Global to;
  expect_report(
      1,
      [&](Memory& s) {
        fill(s, 3);
        ptx::bulk_store(&to, s.tile[0], kBytes);
      },
      "probe: bulk_store, .*: reads what threads stored without a fence_proxy_async behind it, thread [0-9]+ "
      ".*");
}

TEST(BulkReports, OperandsThatDifferWithinAWarpgroup) {
  expect_report(
      128,
      [](Memory& s) {
        fill(s, 1);
        ptx::fence_proxy_async();
        __syncthreads();
        float d[32];
        const __nv_bfloat16* const a = s.tile[0] + (threadIdx.x == 77 ? 16 : 0);
        ptx::wgmma_fence(d);
        ptx::wgmma<__nv_bfloat16>(d, operand(a), operand(s.tile[0]), false);
        ptx::wgmma_commit();
        ptx::wgmma_wait<0>(d);
      },
      "probe: divergent warpgroup: thread [0-9]+ .* is at wgmma, .* with other operands than "
      "those at "
      "wgmma, .*");
}

TEST(BulkReports, AccumulatorsAreNanBeforeTheWaitWhenTheyComeLate) {
  bool nan[2] = {};
  EXPECT_EQ(report(Delivery::late, 128,
                   [&](Memory& s) {
                     fill(s, 1);
                     ptx::fence_proxy_async();
                     __syncthreads();
                     float d[32];
                     multiply(d, s);
                     volatile float* const seen = d;
                     if (threadIdx.x == 5) nan[0] = std::isnan(seen[3]);
                     ptx::wgmma_wait<0>(d);
                     if (threadIdx.x == 5) nan[1] = std::isnan(seen[3]);
                   }),
            "(no exception)");
  EXPECT_TRUE(nan[0]);
  EXPECT_FALSE(nan[1]);
}

TEST(BulkReports, ProductsOutOfOrder) {
  expect_report(
      128,
      [](Memory& s) {
        float d[32];
        ptx::wgmma<__nv_bfloat16>(d, operand(s.tile[0]), operand(s.tile[0]), false);
      },
      "probe: wgmma, .*: no wgmma_fence since the beginning or the last wait, thread [0-9]+ .*");
  expect_report(
      128,
      [](Memory& s) {
        float d[32];
        multiply(d, s);
      },
      "probe: thread [0-9]+ .* has ended and did not wait for its wgmma, .*");
  expect_report(
      256,
      [](Memory& s) {
        float d[32];
        if (threadIdx.x != 200) multiply(d, s);
        ptx::wgmma_wait<0>(d);
      },
      "probe: (deadlock, .* at wgmma_wait, .*|thread 200 .*|thread [0-9]+ .* is at wgmma, .*)");
  expect_report(
      128,
      [](Memory& s) {
        float d[32];
        ptx::wgmma_fence(d);
        ptx::wgmma<__nv_bfloat16>(d, operand(s.tile[0]),
                                  ptx::wgmma_descriptor(s.tile[1], Swizzle::b128, 16, 1 << 17), false);
        ptx::wgmma_commit();
        ptx::wgmma_wait<0>(d);
      },
      "probe: wgmma, .*: the descriptor reaches outside of the block's shared memory, thread [0-9]+ .*");
}

TEST(BulkReports, ABlockThatEndsBeforeItsCopies) {
  const Global from{};
  expect_report(
      1, [&](Memory& s) { load(s, 0, from); },
      "probe: the block has ended and nobody has waited for bulk_load, bulk_test.cpp:[0-9]+, block .0, 0, "
      "0.");
  Global to;
  expect_report(
      1,
      [&](Memory& s) {
        fill(s, 3);
        ptx::fence_proxy_async();
        ptx::bulk_store(&to, s.tile[0], kBytes);
        ptx::bulk_commit();
      },
      "probe: thread [0-9]+ .* has ended and did not wait until bulk_store, bulk_test.cpp:[0-9]+ was read, "
      ".*");
}

TEST(BulkReports, BytesThatWereNotAnnounced) {
  const Global from{};
  expect_report(
      1,
      [&](Memory& s) {
        ptx::bulk_load(s.tile[0], &from, kBytes, &s.full);
        ptx::mbarrier_arrive(&s.full);
        ptx::mbarrier_wait(&s.full, 0);
      },
      "probe: (8192 bytes under way to an mbarrier were not announced|deadlock, .* and -8192 bytes "
      "missing).*");
}

TEST(BulkReports, AnMbarrierThatNoFencePublished) {
  const Global from{};
  expect_report(
      1,
      [&](Memory& s) {
        ptx::mbarrier_inval(&s.full);
        ptx::mbarrier_init(&s.full, 1);
        load(s, 0, from);
      },
      "probe: bulk_load, .*: no fence between mbarrier_init and an asynchronous copy, thread [0-9]+ .*");
}

TEST(BulkReports, PlacesThatAreNotAligned) {
  Global from{};
  const TileAxis axes[] = {{64, 1, 64}, {64, 64, 8}};
  const auto map = ptx::make_tensor_map(&from, DType::bf16, Swizzle::b128, axes);
  expect_report(
      1,
      [&](Memory& s) {
        ptx::tma_load(s.tile[0] + 256, map, &s.full, {0, 0});
      },
      "probe: tma_load, .*: an address in shared memory that is not a multiple of 1024, thread [0-9]+ .*");
  expect_report(
      1,
      [&](Memory& s) {
        ptx::tma_load(s.tile[0], map, &s.full, {0, 0, 0});
      },
      "probe: tma_load, .*: wanted 2 coordinates, found 3, thread [0-9]+ .*");
  expect_report(
      1,
      [&](Memory& s) {
        ptx::tma_load_multicast(s.tile[0], map, &s.full, {0, 0}, 2);
      },
      "probe: tma_load_multicast, .*: wanted a rank below 1, found 1, thread [0-9]+ .*");
  expect_report(
      1, [&](Memory& s) { ptx::bulk_load(s.tile[0], from.tile + 1, 16, &s.full); },
      "probe: bulk_load, .*: wanted an address in global memory of a multiple of 16, thread [0-9]+ .*");
  expect_report(
      1, [&](Memory& s) { ptx::bulk_load(s.tile[0], from.tile, 24, &s.full); },
      "probe: bulk_load, .*: wanted a number of bytes of a multiple of 16, thread [0-9]+ .*");
}

TEST(EmulatorRaces, ACopyThatIsReadWithoutAWait) {
  if (!races_are_seen()) GTEST_SKIP() << "built without ThreadSanitizer";
  const Global from{};
  for (const Delivery delivery : {Delivery::eager, Delivery::late})
    expect_race([&] {
      report(delivery, 1, [&](Memory& s) {
        load(s, 0, from);
        s.tile[1][0] = s.tile[0][5];
        ptx::mbarrier_wait(&s.full, 0);
      });
    });
}

}  // namespace
}  // namespace dehvf::cuda
