#include "cuda/architectures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/backend.h"
#include "core/device_report.h"

namespace dehvf::cuda {
namespace {

using testing::IsEmpty;

constexpr BuildFacts kPortable{"80-real 80-virtual", 13020};

TEST(Architectures, MachineCodeRunsOnItsMajorNumberAndPtxOnWhatIsNewer) {
  EXPECT_THAT(unsuited({8, 0, 13020}, kPortable), IsEmpty());
  EXPECT_THAT(unsuited({8, 9, 13020}, kPortable), IsEmpty());
  EXPECT_THAT(unsuited({9, 0, 13020}, kPortable), IsEmpty());
  EXPECT_THAT(unsuited({12, 1, 13030}, kPortable), IsEmpty());
  EXPECT_THAT(unsuited({8, 0, 13020}, {"80", 13020}), IsEmpty());
  EXPECT_THAT(unsuited({9, 0, 13000}, {"80-real 90-real", 13020}), IsEmpty());
  EXPECT_THAT(unsuited({8, 6, 13020}, {"native", 13020}), IsEmpty());
  EXPECT_THAT(unsuited({8, 6, 13020}, {"90 all-major", 13020}), IsEmpty());
}

TEST(Architectures, SaysWhatWasFoundAndWhatToBuildWith) {
  EXPECT_EQ(unsuited({8, 0, 13020}, {"90-real", 13020}),
            "compute 8.0 runs none of this build's kernels (90-real): configure with "
            "-DCMAKE_CUDA_ARCHITECTURES=80");
  EXPECT_EQ(unsuited({9, 0, 13020}, {"80-real", 13020}),
            "compute 9.0 runs none of this build's kernels (80-real): configure with "
            "-DCMAKE_CUDA_ARCHITECTURES=90");
  EXPECT_NE(unsuited({8, 0, 13020}, {"86-real", 13020}), "");
  EXPECT_NE(unsuited({8, 0, 13020}, {"90-virtual", 13020}), "");
  EXPECT_NE(unsuited({12, 0, 13020}, {"90a 90a-virtual", 13020}), "") << "90a is for 9.0 alone";
  EXPECT_THAT(unsuited({9, 0, 13020}, {"90a-real", 13020}), IsEmpty());
  EXPECT_THAT(unsuited({10, 3, 13020}, {"100f-real", 13020}), IsEmpty());
  EXPECT_NE(unsuited({12, 0, 13020}, {"100f", 13020}), "");
}

TEST(Architectures, AnOldDriverReadsNoNewPtx) {
  EXPECT_EQ(unsuited({9, 0, 13000}, kPortable),
            "compute 9.0 has only PTX in this build (80-real 80-virtual) and the driver knows CUDA 13.0, the "
            "build is of 13.2: update the driver, or configure with -DCMAKE_CUDA_ARCHITECTURES=90");
  EXPECT_THAT(unsuited({8, 6, 13000}, kPortable), IsEmpty()) << "machine code needs the major version only";
  EXPECT_EQ(unsuited({8, 0, 12080}, kPortable),
            "the driver knows CUDA 12.8, the build is of 13.2: update the driver, or build with a toolkit of "
            "its version");
}

// Where no GPU is refused, `auto` always is a device.
TEST(Architectures, AutoIsADeviceUnlessAGpuIsRefused) {
  if (!cuda_refusal().empty()) GTEST_SKIP() << cuda_refusal();
  EXPECT_TRUE(has_device(chosen_device("auto")));
}

}  // namespace
}  // namespace dehvf::cuda
