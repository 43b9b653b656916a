// Rows and registers by the PTX manual, "Warp-level matrix store instruction: stmatrix".
#include "ptx/hopper_probes.h"

namespace dehvf {
namespace {

class PtxStmatrix : public HopperProbes {
 protected:
  void expect_stored(const std::string& probe, int matrices, bool transposed) const {
    const Registers in = random_registers(32 * 4, uint64_t(matrices));
    const Registers out = after(probe, in, 4);
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < 4; ++i)
        for (int half = 0; half < 2; ++half) {
          const int outer = lane / 4, inner = lane % 4 * 2 + half;
          const int row = transposed ? inner : outer, column = transposed ? outer : inner;
          const uint32_t word = out[size_t((8 * i + row) * 4 + column / 2)];
          EXPECT_EQ(half_of(word, column % 2),
                    i < matrices ? half_of(in[size_t(lane * 4 + i)], half) : uint16_t(0xffff))
              << probe << ", lane " << lane << ", register " << i << ", half " << half;
        }
  }
};

TEST_P(PtxStmatrix, Stmatrix) {
  expect_stored("stmatrix_x1", 1, false);
  expect_stored("stmatrix_x2", 2, false);
  expect_stored("stmatrix_x4", 4, false);
}

TEST_P(PtxStmatrix, StmatrixTransposed) {
  expect_stored("stmatrix_x1_trans", 1, true);
  expect_stored("stmatrix_x2_trans", 2, true);
  expect_stored("stmatrix_x4_trans", 4, true);
}

INSTANTIATE_TEST_SUITE_P(Places, PtxStmatrix, kPtxPlaces, place_name);

}  // namespace
}  // namespace dehvf
