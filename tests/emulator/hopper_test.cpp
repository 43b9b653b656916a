// Bugs planted around mbarriers and clusters, and the one line that reports each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cuda/emulator/sanitizer.h"
#include "cuda/launch.cuh"
#include "cuda/ptx/cluster.cuh"
#include "cuda/ptx/fence.cuh"
#include "cuda/ptx/mbarrier.cuh"
#include "cuda/ptx/setmaxnreg.cuh"
#include "cuda/shared.cuh"
#include "emulator/races.h"
#include "support/message.h"

namespace dehvf::cuda {
namespace {

using testing::MatchesRegex;

std::string report(dim3 grid, dim3 block, unsigned cluster, const std::function<void()>& kernel) {
  const std::string message = message_of<simt::KernelFault>([&] {
    simt::run_grid({"probe", std::source_location::current(), grid, block, 1024, cluster}, kernel);
  });
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return message;
}

struct Barriers {
  uint64_t full, empty;
  uint32_t word;
};

void begin(Barriers& b, unsigned arrivals) {
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&b.full, arrivals);
    ptx::mbarrier_init(&b.empty, arrivals);
    ptx::fence_mbarrier_init();
  }
  __syncthreads();
}

TEST(HopperReports, AMissingArrival) {
  const auto kernel = [] {
    Barriers& b = shared<Barriers>();
    begin(b, 40);
    if (threadIdx.x < 39) ptx::mbarrier_arrive(&b.full);
    ptx::mbarrier_wait(&b.full, 0);
  };
  EXPECT_THAT(report(1, 64, 1, kernel),
              MatchesRegex("probe: deadlock, nobody can go on: 64 of block .0, 0, 0. at mbarrier_wait, "
                           "hopper_test.cpp:[0-9]+ .phase 0: 1 of 40 arrivals and 0 bytes missing., first "
                           "thread 0 .warp 0, lane 0., block .0, 0, 0."));
}

TEST(HopperReports, BytesThatNobodyCopies) {
  const auto kernel = [] {
    Barriers& b = shared<Barriers>();
    begin(b, 1);
    if (threadIdx.x == 0) ptx::mbarrier_arrive_expect_tx(&b.full, 512);
    ptx::mbarrier_wait(&b.full, 0);
  };
  EXPECT_THAT(report(1, 32, 1, kernel),
              MatchesRegex(".*deadlock.* at mbarrier_wait, .* .phase 0: 0 of 1 arrivals "
                           "and 512 bytes missing.*"));
}

TEST(HopperReports, AnArrivalTooMany) {
  const auto kernel = [] {
    Barriers& b = shared<Barriers>();
    begin(b, 2);
    if (threadIdx.x == 7) {
      ptx::mbarrier_expect_tx(&b.full, 16);  // so that the second arrival does not end the phase
      for (int i = 0; i < 3; ++i) ptx::mbarrier_arrive(&b.full);
    }
  };
  EXPECT_THAT(
      report(1, 32, 1, kernel),
      MatchesRegex("probe: mbarrier_arrive, hopper_test.cpp:[0-9]+: over-arrival, thread 7 .warp 0, lane 7. "
                   "arrives 1 times, phase 0 of the mbarrier wants 0 more of 2, block .0, 0, 0."));
}

// A buffer of one stage: who fills it a second time without waiting for `empty` is seen at the deadlock.
TEST(HopperReports, AStageFilledBeforeItsRelease) {
  const auto kernel = [] {
    Barriers& b = shared<Barriers>();
    begin(b, 1);
    for (uint32_t i = 0; i < 3; ++i) {
      if (threadIdx.x == 0) {
        b.word = i;
        ptx::mbarrier_arrive(&b.full);
      } else if (threadIdx.x == 32) {
        ptx::mbarrier_wait(&b.full, i % 2);
        ptx::mbarrier_arrive(&b.empty);
      }
    }
  };
  EXPECT_THAT(
      report(1, 64, 1, kernel),
      MatchesRegex(".*deadlock, nobody can go on: 1 of block .0, 0, 0. at mbarrier_wait.*thread 32.*"));
}

TEST(HopperReports, AnMbarrierThatIsNone) {
  EXPECT_THAT(report(1, 1, 1, [] { ptx::mbarrier_arrive(&shared<Barriers>().full); }),
              MatchesRegex("probe: mbarrier_arrive, .*: no mbarrier was initialised there, thread 0 .*"));
  EXPECT_THAT(report(1, 1, 1,
                     [] {
                       Barriers& b = shared<Barriers>();
                       begin(b, 1);
                       b.full = 0;
                       ptx::mbarrier_arrive(&b.full);
                     }),
              MatchesRegex(".*the bytes of the mbarrier were overwritten.*"));
  EXPECT_THAT(report(1, 1, 1,
                     [] {
                       Barriers& b = shared<Barriers>();
                       begin(b, 1);
                       begin(b, 1);
                     }),
              MatchesRegex("probe: mbarrier_init, .*: there is an mbarrier already.*"));
  EXPECT_THAT(report(1, 1, 1, [] { begin(shared<Barriers>(), 0); }),
              MatchesRegex(".*wanted 1 to 1048575 arrivals, found 0, thread 0.*"));
  EXPECT_THAT(report(1, 1, 1,
                     [] {
                       Barriers& b = shared<Barriers>();
                       begin(b, 1);
                       ptx::mbarrier_wait(&b.full, 2);
                     }),
              MatchesRegex(".*wanted parity 0 or 1, found 2, thread 0.*"));
}

TEST(HopperReports, APeersMbarrierWithoutAFence) {
  const auto kernel = [] {
    Barriers& b = shared<Barriers>();
    ptx::mbarrier_init(&b.full, 1);
    ptx::cluster_arrive();
    ptx::cluster_wait();
    ptx::mbarrier_arrive_remote(&b.full, 1 - ptx::cluster_rank());
  };
  EXPECT_THAT(report(2, 1, 2, kernel),
              MatchesRegex("probe: mbarrier_arrive_remote, .*: no fence between the peer's "
                           "mbarrier_init and this, thread 0 .*"));
}

TEST(HopperReports, ABlockThatEndsWhileAPeerUsesItsMemory) {
  const auto kernel = [](bool last_barrier) {
    return [=] {
      Barriers& b = shared<Barriers>();
      ptx::cluster_arrive();
      ptx::cluster_wait();
      Barriers* const peer = ptx::cluster_map(&b, 1 - ptx::cluster_rank());
      if (threadIdx.x == 0) peer->word = 5;
      if (!last_barrier) return;
      ptx::cluster_arrive();
      ptx::cluster_wait();
    };
  };
  EXPECT_EQ(report(4, 32, 2, kernel(true)), "(no exception)");
  EXPECT_THAT(
      report(4, 32, 2, kernel(false)),
      MatchesRegex("probe: the block has ended, but block .0, 0, 0. may still use its shared memory, from "
                   "cluster_map, hopper_test.cpp:[0-9]+, block .1, 0, 0.|probe: cluster_map, .*: block "
                   ".*, 0, 0. has ended, its shared memory is gone, .*"));
}

TEST(HopperReports, ClusterBarriersOutOfOrder) {
  EXPECT_THAT(report(2, 32, 2, [] { ptx::cluster_wait(); }),
              MatchesRegex("probe: cluster_wait, .*: thread 0 .* waits and has not arrived, block .*"));
  EXPECT_THAT(report(2, 32, 2,
                     [] {
                       ptx::cluster_arrive();
                       if (threadIdx.x == 3) ptx::cluster_arrive();
                       ptx::cluster_wait();
                     }),
              MatchesRegex("probe: cluster_arrive, .*: thread 3 .* arrives twice without a wait, block .*"));
  EXPECT_THAT(
      report(2, 32, 2,
             [] {
               ptx::cluster_arrive();
               if (threadIdx.x > 3) ptx::cluster_wait();
             }),
      MatchesRegex("probe: thread 0 .* has ended between its cluster_arrive and a cluster_wait, block .*"));
  EXPECT_THAT(report(4, 32, 2,
                     [] {
                       if (blockIdx.x == 3 && threadIdx.x == 9) return;
                       ptx::cluster_arrive();
                       ptx::cluster_wait();
                     }),
              MatchesRegex("probe: thread 9 .* has ended, but thread 0 .* of block .2, 0, 0. waits for it at "
                           "cluster_arrive, hopper_test.cpp:[0-9]+, block .3, 0, 0."));
}

TEST(HopperReports, AClusterBarrierThatAPeerDoesNotReach) {
  const auto kernel = [] {
    Barriers& b = shared<Barriers>();
    begin(b, 1);
    if (blockIdx.x == 1) ptx::mbarrier_wait(&b.full, 0);
    ptx::cluster_arrive();
    ptx::cluster_wait();
  };
  EXPECT_THAT(report(2, 32, 2, kernel),
              MatchesRegex(
                  "probe: deadlock, nobody can go on: 32 of block .0, 0, 0. at cluster_wait, .*; 32 of block "
                  ".1, 0, 0. at mbarrier_wait, .*"));
}

TEST(HopperReports, ClustersThatDoNotFit) {
  EXPECT_THAT(report(3, 32, 2, [] {}),
              MatchesRegex("probe: wanted clusters of 1 to 4 blocks, of which the grid's x "
                           "is a multiple, found 2 in a grid of .3, 1, 1., launched at .*"));
  EXPECT_THAT(report(8, 32, 8, [] {}), MatchesRegex(".*found 8 in a grid of .8, 1, 1.*"));
  EXPECT_THAT(report(4, 32, 2, [] { ptx::cluster_map(&shared<Barriers>(), 2); }),
              MatchesRegex("probe: cluster_map, .*: wanted a rank below 2, found 2, thread 0.*"));
  int local = 0;
  EXPECT_THAT(report(4, 32, 2, [&] { ptx::cluster_map(&local, 1); }),
              MatchesRegex(".*an address that is not in the block's shared memory.*"));
}

TEST(HopperReports, RegistersOfAWarpgroup) {
  EXPECT_THAT(
      report(1, 128, 1,
             [] {
               if (threadIdx.x < 64)
                 ptx::setmaxnreg_dec<40>();
               else
                 ptx::setmaxnreg_dec<48>();
             }),
      MatchesRegex("probe: divergent warpgroup: thread 64 .warp 2, lane 0. is at setmaxnreg_dec, "
                   "hopper_test.cpp:[0-9]+, others at setmaxnreg_dec, hopper_test.cpp:[0-9]+, block .*"));
  EXPECT_THAT(report(1, 128, 1,
                     [] {
                       if (threadIdx.x != 127) ptx::setmaxnreg_dec<40>();
                     }),
              MatchesRegex("probe: thread 127 .* has ended and was not at setmaxnreg_dec, .* as others .*"));
  EXPECT_THAT(report(1, 384, 1, [] { ptx::setmaxnreg_inc<176>(); }),
              MatchesRegex(".*: the warpgroups want 67584 registers, there are 65536, thread 256.*"));
  EXPECT_THAT(report(1, 160, 1, [] { ptx::setmaxnreg_inc<32>(); }),
              MatchesRegex(".*: wanted a whole warpgroup, but the block ends within it, thread 128.*"));
  EXPECT_THAT(report(1, 128, 1, [] { ptx::setmaxnreg_inc<36>(); }),
              MatchesRegex(".*: wanted a multiple of 8 from 24 to 256, found 36.*"));
}

// A thread stores a word and arrives at the barrier of the block of rank `at`; there another thread takes it.
void hand_over(unsigned at) {
  EXPECT_EQ(report(2, 2, 2,
                   [=] {
                     Barriers& b = shared<Barriers>();
                     begin(b, 1);
                     ptx::cluster_arrive();
                     ptx::cluster_wait();
                     uint32_t* const word = ptx::cluster_map(&b.word, at);
                     if (ptx::cluster_rank() == 0 && threadIdx.x == 0) {
                       *word = 7;
                       ptx::mbarrier_arrive_remote(&b.full, at);
                     } else if (ptx::cluster_rank() == at && threadIdx.x == 1) {
                       ptx::mbarrier_wait(&b.full, 0);
                       EXPECT_EQ(b.word, 7u);
                     }
                     ptx::cluster_arrive();
                     ptx::cluster_wait();
                   }),
            "(no exception)");
}

TEST(EmulatorRaces, ARemoteArrivalHandsOverStoresInItsOwnBlockOnly) {
  hand_over(0);
  if (!races_are_seen()) GTEST_SKIP() << "built without ThreadSanitizer";
  expect_race([] { hand_over(1); });
}

}  // namespace
}  // namespace dehvf::cuda
