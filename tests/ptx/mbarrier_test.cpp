// Phases by the PTX manual, "Parallel synchronization and communication instructions: mbarrier", clusters by
// "barrier.cluster" and "mapa", and what stands beside them.
#include <numeric>

#include "ptx/hopper_probes.h"

namespace dehvf {
namespace {

class PtxHopper : public HopperProbes {};

TEST_P(PtxHopper, MbarrierParity) {
  const Registers out = after("mbarrier_parity", Registers(32), 4);
  for (size_t lane = 0; lane < 32; ++lane)
    EXPECT_EQ(Registers(out.begin() + 4 * lane, out.begin() + 4 * lane + 4), (Registers{1, 0, 1, 0})) << lane;
}

TEST_P(PtxHopper, MbarriersHandOver) {
  const Registers in = random_registers(32 * 8, 1);
  EXPECT_EQ(after("mbarrier_hand_over", in, 8), in);
}

TEST_P(PtxHopper, PlaceInTheCluster) {
  const Registers out = after("cluster_place", Registers(32), 8 * 3);
  for (uint32_t i = 0; i < 8 * 32; ++i)
    EXPECT_EQ(Registers(out.begin() + 3 * i, out.begin() + 3 * i + 3), (Registers{i / 32 % 4, 4, i / 32}));
}

TEST_P(PtxHopper, SharedMemoryOfPeers) {
  const Registers in = random_registers(8 * 32, 2), out = after("cluster_map", in, 8 * 2);
  for (size_t i = 0; i < in.size(); ++i) {
    const size_t lane = i % 32, rank = i / 32 % 4, first = i / 128 * 128;
    EXPECT_EQ(out[2 * i], in[first + (rank + 1) % 4 * 32 + lane]);
    EXPECT_EQ(out[2 * i + 1],
              in[first + lane] + in[first + 32 + lane] + in[first + 64 + lane] + in[first + 96 + lane]);
  }
}

TEST_P(PtxHopper, RemoteArrival) {
  EXPECT_EQ(after("mbarrier_arrive_remote", Registers(32), 8), Registers(8 * 32, 1));
}

TEST_P(PtxHopper, NamedBarriers) {
  const Registers in = random_registers(32, 3);
  EXPECT_EQ(after("named_barrier", in, 1), in);
}

TEST_P(PtxHopper, Setmaxnreg) {
  Registers all(384);
  std::iota(all.begin(), all.end(), 0u);
  EXPECT_EQ(after("setmaxnreg", Registers(32), 12), all);
}

TEST_P(PtxHopper, GridDependency) {
  Registers in = random_registers(32, 4);
  const Registers out = after("grid_dependency", in, 1);
  for (uint32_t& word : in) word *= 3;
  EXPECT_EQ(out, in);
}

INSTANTIATE_TEST_SUITE_P(Places, PtxHopper, kPtxPlaces, place_name);

}  // namespace
}  // namespace dehvf
