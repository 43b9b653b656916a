// The wrappers together: a product of a ring of stages, in one block and in clusters of two.
#include <cmath>

#include "core/dtype.h"
#include "ptx/hopper_probes.h"

namespace dehvf {
namespace {

class PtxProduct : public HopperProbes {
 protected:
  // Random bf16 elements, exactly those of f64 products; beyond k stand NaNs.
  void expect_product(int m, int n, int k, const std::string& form) const {
    const int padded = (k + 7) / 8 * 8;
    std::mt19937_64 random(uint64_t(m * n * k));
    std::vector<bf16> elements(size_t((m + n) * padded), bf16(NAN));
    for (int i = 0; i < m + n; ++i)
      for (int j = 0; j < k; ++j)
        elements[size_t(i * padded + j)] = bf16(std::uniform_real_distribution<float>(-1, 1)(random));
    Registers in((elements.size() / 2 + 31) / 32 * 32);
    std::memcpy(in.data(), elements.data(), elements.size() * sizeof(bf16));
    const std::string probe =
        "product_" + std::to_string(m) + "_" + std::to_string(n) + "_" + std::to_string(k);
    const Registers out = after(probe + form, in, m * n / 32);
    const double bound = 4 * 0x1p-24 * std::sqrt(k) * k;  // contracts: 4 eps sqrt(K) ||a|| ||b||
    for (int i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j) {
        double sum = 0;
        for (int l = 0; l < k; ++l)
          sum += double(float(elements[size_t(i * padded + l)])) *
                 double(float(elements[size_t((m + j) * padded + l)]));
        ASSERT_NEAR(std::bit_cast<float>(out[size_t(i * n + j)]), sum, bound)
            << probe << ": c[" << i << "][" << j << "]";
      }
  }
};

TEST_P(PtxProduct, InOneBlock) {
  expect_product(1, 32, 8, "");
  expect_product(131, 160, 333, "");
}

TEST_P(PtxProduct, InClustersOfTwo) {
  expect_product(1, 32, 8, "_cluster");
  expect_product(131, 160, 333, "_cluster");
}

INSTANTIATE_TEST_SUITE_P(Places, PtxProduct, kPtxPlaces, place_name);

}  // namespace
}  // namespace dehvf
