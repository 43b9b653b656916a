// Rows and registers by the PTX manual, "Warp-level matrix load instruction: ldmatrix".
#include "ptx/probes.h"

namespace dehvf {
namespace {

class PtxMatrix : public PtxProbes {
 protected:
  void expect_loaded(const std::string& probe, int matrices, bool transposed) const {
    const Registers in = random_registers(32 * 4, uint64_t(matrices));
    const Registers out = after(probe, in, matrices);
    const auto element = [&](int matrix, int row, int column) {
      return half_of(in[size_t((8 * matrix + row) * 4 + column / 2)], column % 2);
    };
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < matrices; ++i)
        for (int half = 0; half < 2; ++half) {
          const int row = lane / 4, column = lane % 4 * 2 + half;
          EXPECT_EQ(half_of(out[size_t(lane * matrices + i)], half),
                    transposed ? element(i, column, row) : element(i, row, column))
              << probe << ", lane " << lane << ", register " << i << ", half " << half;
        }
  }
};

TEST_P(PtxMatrix, Ldmatrix) {
  expect_loaded("ldmatrix_x1", 1, false);
  expect_loaded("ldmatrix_x2", 2, false);
  expect_loaded("ldmatrix_x4", 4, false);
}

TEST_P(PtxMatrix, LdmatrixTransposed) {
  expect_loaded("ldmatrix_x1_trans", 1, true);
  expect_loaded("ldmatrix_x2_trans", 2, true);
  expect_loaded("ldmatrix_x4_trans", 4, true);
}

INSTANTIATE_TEST_SUITE_P(Places, PtxMatrix, kPtxPlaces, place_name);

}  // namespace
}  // namespace dehvf
