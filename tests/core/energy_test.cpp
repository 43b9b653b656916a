// Energy counters: a folder as powercap shows it, and an NVML that tells what the test says.
#include "core/energy.h"

#include <gtest/gtest.h>

#include "core/io/file.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

namespace fs = std::filesystem;

struct Powercap : testing::Test {
  const TemporaryFolder root;

  void zone(const std::string& folder, const std::string& name, const std::string& energy) const {
    fs::create_directories(root / folder);
    write_file(root / folder / "name", name + "\n");
    write_file(root / folder / "energy_uj", energy);
    write_file(root / folder / "max_energy_range_uj", "1000000\n");
  }
  void counts(const std::string& folder, const std::string& energy) const {
    write_file(root / folder / "energy_uj", energy);
  }
  std::unique_ptr<EnergyMeter> meter() const { return powercap_meter(root / ""); }
};

TEST_F(Powercap, PackagesAreAddedUpAndNothingElse) {
  zone("intel-rapl:0", "package-0", "100000\n");
  zone("intel-rapl:1", "package-1", "200000\n");
  zone("intel-rapl:2", "psys", "0\n");
  zone("intel-rapl:0:0", "core", "0\n");
  zone("intel-rapl-mmio:0", "package-0", "0\n");
  const auto meter = this->meter();
  ASSERT_TRUE(meter);
  EXPECT_EQ(meter->joules(), 0.0);
  counts("intel-rapl:0", "350000\n");
  counts("intel-rapl:1", "200001\n");
  for (const char* other : {"intel-rapl:2", "intel-rapl:0:0", "intel-rapl-mmio:0"}) counts(other, "777777\n");
  EXPECT_DOUBLE_EQ(*meter->joules(), 0.250001);
}

TEST_F(Powercap, ACounterGoesOnBehindItsRange) {
  zone("intel-rapl:0", "package-0", "999000\n");
  const auto meter = this->meter();
  counts("intel-rapl:0", "500\n");
  EXPECT_DOUBLE_EQ(*meter->joules(), 0.0015);
  counts("intel-rapl:0", "400\n");
  EXPECT_DOUBLE_EQ(*meter->joules(), 0.0015 + 0.9999);
}

TEST_F(Powercap, WhatCannotBeReadIsNotTold) {
  EXPECT_FALSE(powercap_meter(root / "nowhere"));
  EXPECT_FALSE(meter()) << "no zone";
  zone("intel-rapl:0", "package-0", "12\n");
  zone("intel-rapl:1", "package-1", "many\n");
  EXPECT_FALSE(meter()) << "one of two";
  counts("intel-rapl:1", "5\n");
  const auto meter = this->meter();
  ASSERT_TRUE(meter);
  counts("intel-rapl:1", "1000001\n");
  EXPECT_FALSE(meter->joules()) << "beyond the range";
  fs::remove(root / "intel-rapl:1" / "energy_uj");
  EXPECT_FALSE(meter->joules());
  fs::remove(root / "intel-rapl:0" / "max_energy_range_uj");
  EXPECT_FALSE(this->meter());
}

// One GPU, "gpu", whose counter stands in `told`; a negative one is an error.
long long told = 0;
const Nvml kFake{.init = [] { return 0; },
                 .by_bus_id =
                     [](const char* bus_id, void** device) {
                       *device = &told;
                       return bus_id == std::string("gpu") ? 0 : 6;  // not found
                     },
                 .energy =
                     [](void* device, unsigned long long* millijoules) {
                       const long long now = *static_cast<long long*>(device);
                       *millijoules = static_cast<unsigned long long>(now);
                       return now < 0 ? 3 : 0;  // not supported
                     }};

TEST(NvmlMeter, CountsMillijoulesFromItsBeginning) {
  told = 5'000'000;
  const auto meter = nvml_meter(kFake, "gpu");
  ASSERT_TRUE(meter);
  EXPECT_EQ(meter->joules(), 0.0);
  told += 1234;
  EXPECT_DOUBLE_EQ(*meter->joules(), 1.234);
  told = 17;  // the driver was loaded anew
  EXPECT_FALSE(meter->joules());
  told = -1;
  EXPECT_FALSE(meter->joules());
  EXPECT_FALSE(nvml_meter(kFake, "gpu")) << "older than Volta";
  told = 0;
  EXPECT_FALSE(nvml_meter(kFake, "another"));
}

TEST(EnergyMeter, ADeviceWithoutACounterHasNone) { EXPECT_FALSE(energy_meter({DeviceKind::cuda, 99})); }

}  // namespace
}  // namespace dehvf
