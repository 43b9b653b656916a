// Copies that go on beside the thread and products of whole warps: bugs planted in their use, and what tells.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cuda/emulator/delivery.h"
#include "cuda/launch.cuh"
#include "cuda/ptx/cp_async.cuh"
#include "cuda/ptx/matrix.cuh"
#include "cuda/ptx/mma.cuh"
#include "cuda/shared.cuh"
#include "emulator/races.h"
#include "support/message.h"

namespace dehvf::cuda {
namespace {

using simt::Delivery;
using testing::MatchesRegex;

constexpr unsigned kThreads = 64;
using Values = std::array<float, 2 * kThreads>;

Values counted() {
  Values values;
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(i + 1);
  return values;
}

std::string report(unsigned threads, const std::function<void()>& kernel) {
  return message_of<simt::KernelFault>([&] {
    simt::run_grid({"probe", std::source_location::current(), 1, threads, 1024}, kernel);
  });
}

// What is left out of a kernel that turns two stages of values round.
struct Missing {
  bool wait = false, barrier = false, release = false;
};

// out[s][i] = in[s][i - 1], through one stage of shared memory.
void turn(const Values& in, Values& out, const Missing& missing) {
  float* const stage = dynamic_shared<float>();
  const unsigned i = threadIdx.x;
  for (unsigned s = 0; s < 2; ++s) {
    ptx::cp_async<4>(stage + i, &in[s * kThreads + i]);
    ptx::cp_async_commit();
    if (!missing.wait) ptx::cp_async_wait<0>();
    if (!missing.barrier) __syncthreads();
    out[s * kThreads + i] = stage[(i + kThreads - 1) % kThreads];
    if (!missing.release) __syncthreads();
    ptx::cp_async_wait<0>();
  }
}

Values turned(Delivery delivery, const Missing& missing = {}) {
  const simt::DeliveryScope scope(delivery);
  const Values in = counted();
  Values out{};
  EXPECT_EQ(report(kThreads, [&] { turn(in, out, missing); }), "(no exception)");
  return out;
}

int wrong(const Values& out) {
  int count = 0;
  for (unsigned i = 0; i < out.size(); ++i)
    count += !(out[i] == float(i / kThreads * kThreads + (i + kThreads - 1) % kThreads + 1));
  return count;
}

TEST(EmulatedCopies, ARightKernelIsRightHoweverTheyArrive) {
  EXPECT_EQ(wrong(turned(Delivery::eager)), 0);
  EXPECT_EQ(wrong(turned(Delivery::late)), 0);
}

TEST(EmulatedCopies, AMissingWaitReadsNan) {
  if (races_are_seen()) GTEST_SKIP() << "a race, in a test of its own";
  EXPECT_EQ(wrong(turned(Delivery::eager, {.wait = true})), 0) << "the eager copies hide it";
  const Values out = turned(Delivery::late, {.wait = true});
  EXPECT_EQ(wrong(out), int(out.size()));
  for (float v : out) EXPECT_TRUE(std::isnan(v));
}

TEST(EmulatedCopies, AStageThatIsUsedAgainTooEarlyIsNan) {
  if (races_are_seen()) GTEST_SKIP() << "a race, in a test of its own";
  EXPECT_GT(wrong(turned(Delivery::late, {.release = true})), 0);
}

TEST(EmulatedCopies, AGroupArrivesWhereItIsWaitedForAndNotBefore) {
  if (races_are_seen()) GTEST_SKIP() << "reads what has not arrived";
  const simt::DeliveryScope scope(Delivery::late);
  const Values in = counted();
  EXPECT_EQ(report(1,
                   [&] {
                     float* const words = dynamic_shared<float>();
                     const auto arrived = [&](int first, int second, int third) {
                       EXPECT_EQ(!std::isnan(words[0]), first);
                       EXPECT_EQ(!std::isnan(words[1]), second);
                       EXPECT_EQ(!std::isnan(words[2]), third);
                     };
                     ptx::cp_async<4>(words, &in[0]);
                     ptx::cp_async_wait<0>();  // of no closed group
                     arrived(0, 0, 0);
                     ptx::cp_async_commit();
                     ptx::cp_async<4>(words + 1, &in[1]);
                     ptx::cp_async_commit();
                     ptx::cp_async_commit();  // an empty one counts
                     ptx::cp_async<4>(words + 2, &in[2]);
                     ptx::cp_async_commit();
                     ptx::cp_async_wait<4>();
                     arrived(0, 0, 0);
                     ptx::cp_async_wait<3>();
                     arrived(1, 0, 0);
                     ptx::cp_async_wait<2>();
                     arrived(1, 1, 0);
                     ptx::cp_async_wait<1>();
                     arrived(1, 1, 0);
                     ptx::cp_async_wait<0>();
                     arrived(1, 1, 1);
                     EXPECT_EQ(words[2], 3);
                   }),
            "(no exception)");
}

TEST(EmulatedCopies, AThreadThatEndsWithoutHavingWaited) {
  static const Values in = counted();
  const auto report_of = [](bool commit) {
    return report(64, [=] {
      if (threadIdx.x == 40) ptx::cp_async<16>(dynamic_shared<float>(), in.data());
      if (commit) ptx::cp_async_commit();
    });
  };
  for (bool commit : {false, true})
    EXPECT_THAT(report_of(commit),
                MatchesRegex("probe: thread 40 .warp 1, lane 8. has ended and did not wait for cp_async, "
                             "async_test.cpp:[0-9]+, block .0, 0, 0."));
}

TEST(EmulatedCopies, AddressesThatAreWrong) {
  static const Values in = counted();
  const auto copied = [](int to, int from, int valid = 16) {
    return report(1, [=] {
      char* const shared = dynamic_shared<char>();
      ptx::cp_async<16>(shared + to, reinterpret_cast<const char*>(in.data()) + from, valid);
      ptx::cp_async_commit();
      ptx::cp_async_wait<0>();
    });
  };
  const std::string begin = "probe: cp_async, async_test.cpp:[0-9]+: ",
                    end = ", thread 0 .*, block .0, 0, 0.";
  const int misaligned = int((16 - reinterpret_cast<uintptr_t>(in.data()) % 16) % 16);
  EXPECT_EQ(copied(1008, misaligned), "(no exception)");
  EXPECT_THAT(copied(8, misaligned),
              MatchesRegex(begin + "an address in shared memory that is not a multiple of 16" + end));
  EXPECT_THAT(copied(16, misaligned + 4),
              MatchesRegex(begin + "an address in global memory that is not a multiple of 16" + end));
  EXPECT_THAT(copied(1024, misaligned),
              MatchesRegex(begin + "16 bytes that are not in the block's shared memory" + end));
  EXPECT_THAT(copied(-16, misaligned),
              MatchesRegex(begin + "16 bytes that are not in the block's shared memory" + end));
  EXPECT_THAT(copied(0, misaligned, 17), MatchesRegex(begin + "wanted 0 to 16 bytes, found 17" + end));
  EXPECT_THAT(copied(0, misaligned, -1), MatchesRegex(begin + "wanted 0 to 16 bytes, found -1" + end));
  EXPECT_THAT(report(1,
                     [] {
                       char* const shared = dynamic_shared<char>();
                       ptx::cp_async<16>(shared, shared + 16);
                     }),
              MatchesRegex(begin + "the source is in shared memory" + end));
}

TEST(EmulatedMatrices, RowsThatAreNoRows) {
  const auto loaded = [](int lane, int at) {
    return report(32, [=] {
      const bool chosen = int(threadIdx.x) == lane;
      char* const bytes = dynamic_shared<char>();
      uint32_t registers[2];
      ptx::ldmatrix_x2(registers, bytes + (chosen ? at : 0));
    });
  };
  EXPECT_EQ(loaded(16, 1), "(no exception)") << "the row of a lane that gives none";
  EXPECT_EQ(loaded(15, 1008), "(no exception)");
  EXPECT_THAT(loaded(15, 8), MatchesRegex("probe: ldmatrix_x2, async_test.cpp:[0-9]+: an address in shared "
                                          "memory that is not a multiple of 16, thread 15 .*"));
  EXPECT_THAT(loaded(3, 1024),
              MatchesRegex("probe: ldmatrix_x2, async_test.cpp:[0-9]+: 16 bytes that are not "
                           "in the block's shared memory, thread 3 .*"));
}

void multiply() {
  float d[4]{};
  const uint32_t a[4]{}, b[2]{};
  ptx::mma_m16n8k16<__nv_bfloat16>(d, a, b);
}

TEST(EmulatedMatrices, AProductOfAPartOfTheWarp) {
  EXPECT_THAT(
      report(64,
             [] {
               if (threadIdx.x != 35) multiply();
             }),
      MatchesRegex("probe: thread 35 .warp 1, lane 3. has ended, but thread 32 .warp 1, lane 0. waits "
                   "for it at mma_m16n8k16, async_test.cpp:[0-9]+, block .0, 0, 0."));
  EXPECT_THAT(report(64,
                     [] {
                       if (threadIdx.x % 32 < 16) multiply();
                       __syncwarp();
                     }),
              MatchesRegex("probe: divergent collective: thread 16 .warp 0, lane 16. is at __syncwarp, "
                           "async_test.cpp:[0-9]+, thread 0 .warp 0, lane 0. at mma_m16n8k16, "
                           "async_test.cpp:[0-9]+, block .0, 0, 0."));
  EXPECT_THAT(report(40, [] { multiply(); }),
              MatchesRegex("probe: mma_m16n8k16, async_test.cpp:[0-9]+: wanted a whole warp, but the block "
                           "ends within it, thread 32 .*"));
}

TEST(EmulatorRaces, AreSeen) {
  if (!races_are_seen()) GTEST_SKIP() << "built without ThreadSanitizer";
  for (Delivery delivery : {Delivery::eager, Delivery::late}) {
    expect_race([=] { turned(delivery, {.wait = true}); });
    expect_race([=] { turned(delivery, {.barrier = true}); });
    expect_race([=] { turned(delivery, {.release = true}); });
  }
}

TEST(EmulatorRaces, ABarrierThatIsMissing) {
  if (!races_are_seen()) GTEST_SKIP() << "built without ThreadSanitizer";
  expect_race([] {
    report(64, [] {
      float* const values = dynamic_shared<float>();
      values[threadIdx.x] = 1;
      values[threadIdx.x] = values[threadIdx.x ^ 32] + 1;
    });
  });
  expect_race([] {
    report(32, [] {
      uint32_t registers[4], *const words = dynamic_shared<uint32_t>();
      words[4 * threadIdx.x] = threadIdx.x;
      ptx::ldmatrix_x4(registers, words + 4 * (threadIdx.x ^ 1));
    });
  });
}

TEST(EmulatorRaces, ASourceThatChangesUnderTheCopy) {
  if (!races_are_seen()) GTEST_SKIP() << "built without ThreadSanitizer";
  expect_race([] {
    Values in = counted();
    report(1, [&] {
      ptx::cp_async<4>(dynamic_shared<float>(), in.data());
      in[0] = 7;
      ptx::cp_async_commit();
      ptx::cp_async_wait<0>();
    });
  });
}

}  // namespace
}  // namespace dehvf::cuda
