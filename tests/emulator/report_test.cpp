// Bugs planted in kernels, and the one line that reports each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cuda/emulator/sanitizer.h"
#include "cuda/launch.cuh"
#include "cuda/shared.cuh"
#include "support/message.h"

namespace dehvf::cuda {
namespace {

using testing::MatchesRegex;

std::string report(dim3 grid, dim3 block, const std::function<void()>& kernel) {
  const std::string message = message_of<simt::KernelFault>([&] {
    simt::run_grid({"probe", std::source_location::current(), grid, block, 64}, kernel);
  });
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return message;
}

bool at(unsigned block, unsigned thread) { return blockIdx.x == block && threadIdx.x == thread; }

TEST(EmulatorReports, ADivergentBarrier) {
  const auto kernel = [] {  // not inside of a macro, which has one line
    if (at(1, 40))
      __syncthreads();
    else
      __syncthreads();
  };
  EXPECT_THAT(report(3, 64, kernel),
              MatchesRegex("probe: divergent barrier: thread 40 \\(warp 1, lane 8\\) is at __syncthreads, "
                           "report_test.cpp:[0-9]+, thread 0 \\(warp 0, lane 0\\) at __syncthreads, "
                           "report_test.cpp:[0-9]+, block \\(1, 0, 0\\)"));
}

TEST(EmulatorReports, ADivergentCollective) {
  EXPECT_THAT(report(1, 64,
                     [] {
                       if (threadIdx.x == 35)
                         __ballot_sync(~0u, 1);
                       else
                         __shfl_xor_sync(~0u, 1, 1);
                     }),
              MatchesRegex("probe: divergent collective: thread 35 .warp 1, lane 3. is at __ballot_sync, "
                           "report_test.cpp:[0-9]+, thread 32 .warp 1, lane 0. at __shfl_xor_sync, "
                           "report_test.cpp:[0-9]+, block .0, 0, 0."));
}

TEST(EmulatorReports, ALaneOutsideOfItsMask) {
  EXPECT_THAT(report(1, 32, [] { __shfl_xor_sync(0xffffffefu, 1, 1); }),
              MatchesRegex("probe: wrong mask: thread 4 .warp 0, lane 4. is not in its own mask at "
                           "__shfl_xor_sync, report_test.cpp:[0-9]+, block .0, 0, 0."));
}

TEST(EmulatorReports, AMaskThatWaitsForTheWrongLanes) {
  EXPECT_THAT(
      report(1, 32,
             [] {
               if (threadIdx.x < 16) __shfl_xor_sync(~0u, 1, 1);  // the others never come
               __syncthreads();
             }),
      MatchesRegex("probe: deadlock, nobody can go on: 16 of block .0, 0, 0. at __shfl_xor_sync, "
                   "report_test.cpp:[0-9]+, first thread 0 .warp 0, lane 0.; 16 of block .0, 0, 0. at "
                   "__syncthreads, report_test.cpp:[0-9]+, first thread 16 .warp 0, lane 16., "
                   "block .0, 0, 0."));
}

TEST(EmulatorReports, AThreadThatLeavesABarrierOrALane) {
  EXPECT_THAT(
      report(1, 64,
             [] {
               if (threadIdx.x != 50) __syncthreads();
             }),
      MatchesRegex("probe: thread 50 .warp 1, lane 18. has ended, but thread 0 .warp 0, lane 0. waits "
                   "for it at __syncthreads, report_test.cpp:[0-9]+, block .0, 0, 0."));
  EXPECT_THAT(report(1, 64,
                     [] {
                       if (threadIdx.x > 0) __syncthreads();
                     }),
              MatchesRegex("probe: thread 1 .* waits at __syncthreads, report_test.cpp:[0-9]+, but 1 threads "
                           "have ended, block .0, 0, 0."));
  EXPECT_THAT(report(1, 32,
                     [] {
                       if (threadIdx.x != 9) __any_sync(~0u, 1);
                     }),
              MatchesRegex("probe: thread 9 .* has ended, but thread 0 .* waits for it at __any_sync, "
                           "report_test.cpp:[0-9]+, block .0, 0, 0."));
  EXPECT_THAT(
      report(1, 32,
             [] {
               if (threadIdx.x > 2) __any_sync(~0u, 1);
             }),
      MatchesRegex("probe: thread 3 .* waits at __any_sync, report_test.cpp:[0-9]+, but lane 0 of its "
                   "mask has ended, block .0, 0, 0."));
}

TEST(EmulatorReports, AMissingArrival) {
  const auto wait = [] { simt::named_barrier_sync({"full", Where::current()}, 3, 64); };
  EXPECT_THAT(
      report(2, 64,
             [&] {
               if (threadIdx.x < 32) wait();
             }),
      MatchesRegex("probe: deadlock, nobody can go on: 32 of block .0, 0, 0. at full, .*; 32 of block "
                   ".1, 0, 0. at full, .*first thread 0 .*"));
}

TEST(EmulatorReports, NamedBarriersThatDisagree) {
  const auto report_of = [](int id, unsigned first, unsigned second) {
    return report(1, 64, [=] {
      simt::named_barrier_sync({"meet", Where::current()}, id, threadIdx.x < 32 ? first : second);
    });
  };
  EXPECT_THAT(
      report_of(1, 64, 32),
      MatchesRegex("probe: barrier 1: thread 32 .* wants 32 threads at meet, .*, thread 0 .* wants 64 "
                   "at meet, report_test.cpp:[0-9]+, block .0, 0, 0."));
  EXPECT_THAT(report_of(0, 64, 64),
              MatchesRegex("probe: meet, .*: wanted barrier 1 to 15, found 0, block.*"));
  EXPECT_THAT(report_of(2, 40, 40), MatchesRegex(".*: wanted a multiple of 32 threads, at most the 64 of the "
                                                 "block, found 40, block .0, 0, 0."));
  EXPECT_EQ(report_of(15, 64, 64), "(no exception)");
}

TEST(EmulatorReports, AWidthThatIsNone) {
  EXPECT_THAT(
      report(1, 32, [] { __shfl_sync(~0u, 1, 0, 12); }),
      MatchesRegex("probe: __shfl_sync, report_test.cpp:[0-9]+: wanted a width of 1, 2, 4, 8, 16 or 32, "
                   "block .0, 0, 0."));
}

struct Row {
  float items[10];
};
struct Table {
  float items[40];
};

// Without AddressSanitizer the gap tells when the block ends, with it the process ends at the line.
void expect_overrun(const std::function<void()>& kernel, const std::string& pattern) {
  if (simt::sanitizer::name() == "address")
    EXPECT_DEATH(report(2, 32, kernel), "use-after-poison");
  else
    EXPECT_THAT(report(2, 32, kernel), MatchesRegex(pattern));
}

TEST(EmulatorReports, AnOverrunOfSharedMemory) {
  expect_overrun(
      [] {
        Row& row = shared<Row>();
        if (threadIdx.x == 0) shared<Table>().items[0] = 1;
        volatile float* const items = row.items;
        if (at(1, 3)) items[threadIdx.x + 8] = 1;
      },
      "probe: byte 4 behind the 40 bytes of shared memory of report_test.cpp:[0-9]+ was written, "
      "block .1, 0, 0.");
  expect_overrun(
      [] {
        volatile char* const bytes = dynamic_shared<char>();
        if (at(0, 1)) bytes[-1] = 0;
      },
      "probe: byte 1 before the 64 bytes of dynamic shared memory was written, block .0, 0, 0.");
  expect_overrun(
      [] {
        volatile char* const bytes = dynamic_shared<char>();
        bytes[2 * threadIdx.x + 2] = 0;
      },
      "probe: byte 0 behind the 64 bytes of dynamic shared memory was written, block .0, 0, 0.");
}

struct Large {
  char bytes[49153];
};

TEST(EmulatorReports, MoreSharedMemoryThanABlockHas) {
  EXPECT_THAT(
      report(1, 1, [] { shared<Large>().bytes[0] = 0; }),
      MatchesRegex("probe: shared memory of report_test.cpp:[0-9]+, 49153 bytes: a block has at most 49152 "
                   "without its dynamic ones, block .0, 0, 0."));
}

TEST(EmulatorReports, ADeviceFunctionOutsideOfAKernel) {
  EXPECT_EQ(message_of<DeviceError>([] { __syncthreads(); }),
            "emulator: a device function was called outside of a kernel");
}

TEST(EmulatorReports, GoesOnAfterwards) {
  report(4, 1024, [] {
    if (threadIdx.x == 1000) __syncwarp(0);
    __syncthreads();
  });
  EXPECT_EQ(report(7, 1024, [] { __syncthreads(); }), "(no exception)");
}

}  // namespace
}  // namespace dehvf::cuda
