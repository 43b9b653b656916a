// Layouts by the PTX manual, "Asynchronous warpgroup level matrix instructions": shared memory layout,
// strides, matrix descriptor, register fragments.
#include <cmath>

#include "core/dtype.h"
#include "cuda/conformance/hopper/wgmma_layouts.h"
#include "ptx/hopper_probes.h"

namespace dehvf {
namespace {

using cuda::kOperandWords;
using cuda::Major;
using cuda::Swizzle;
using cuda::WgmmaLayout;

// Integers whose products and sums are exact in every format.
struct Problem {
  int n;
  std::vector<double> a, b, d;  // [64, 16], [n, 16], [64, n]

  explicit Problem(int n, uint64_t seed) : n(n), a(64 * 16), b(size_t(n) * 16), d(size_t(64 * n)) {
    std::mt19937_64 random(seed);
    for (auto* all : {&a, &b, &d})
      for (double& x : *all) x = double(int(random() % 33) - 16);
  }
  double result(int i, int j) const {
    double sum = d[size_t(i * n + j)];
    for (int k = 0; k < 16; ++k) sum += a[size_t(i * 16 + k)] * b[size_t(j * 16 + k)];
    return sum;
  }
};

// The byte of element (mn, k), by the figures of the canonical layouts: which tile, which row of 16-byte
// pieces in it, which piece, which byte.
size_t place(const WgmmaLayout& layout, Major major, int mn, int k) {
  const int pieces = int(cuda::swizzle_bytes(layout.swizzle)) / 16;
  const int inner = major == Major::k ? k : mn, outer = major == Major::k ? mn : k;
  if (pieces == 1)
    return layout.begin + size_t(mn / 8) * layout.stride + size_t(k / 8) * layout.leading +
           size_t(outer % 8) * 16 + size_t(inner % 8) * 2;
  const int shifted = inner + int(layout.begin % 128) / 2;  // in a row that begins earlier
  const size_t begin = layout.begin / 128 * 128;
  const size_t tile = begin + size_t(outer / 8) * layout.stride +
                      (major == Major::mn ? size_t(inner / (8 * pieces)) * layout.leading : 0);
  const int row = outer % 8, piece = shifted / 8 % pieces;
  const int moved = pieces == 8 ? piece ^ row : pieces == 4 ? piece ^ row / 2 : piece ^ row / 4;
  return tile + size_t(row * pieces * 16 + moved * 16 + shifted % 8 * 2);
}

struct Position {
  int row, column;
};
Position d_of(int thread, int i) {
  return {thread / 32 * 16 + thread % 32 / 4 + (i % 4 < 2 ? 0 : 8), i / 4 * 8 + thread % 4 * 2 + i % 2};
}
Position a_of(int thread, int i) {  // i of 8 halves
  return {thread / 32 * 16 + thread % 32 / 4 + (i / 2 % 2 ? 8 : 0), thread % 4 * 2 + i % 2 + (i < 4 ? 0 : 8)};
}

template <class T>
void put(Registers& memory, const WgmmaLayout& layout, Major major, const std::vector<double>& matrix) {
  for (size_t i = 0; i < matrix.size(); ++i) {
    const size_t at = place(layout, major, int(i / 16), int(i % 16));
    const uint32_t bits = T(float(matrix[i])).bits;
    uint32_t& word = memory[at / 4];
    word = at % 4 ? (word & 0xffffu) | bits << 16 : (word & 0xffff0000u) | bits;
  }
}

template <class T>
Registers words_of(const Problem& p, Swizzle swizzle, Major a_major, Major b_major) {
  Registers in(kOperandWords, 0x7fff7fff);  // NaN where no operand lies
  put<T>(in, cuda::wgmma_layout(swizzle, a_major, 64, 0), a_major, p.a);
  put<T>(in, cuda::wgmma_layout(swizzle, b_major, uint32_t(p.n), kOperandWords * 2), b_major, p.b);
  for (int thread = 0; thread < 128; ++thread)
    for (int i = 0; i < 8; i += 2) {
      const auto half = [&](int h) {
        const Position at = a_of(thread, i + h);
        return uint32_t(T(float(p.a[size_t(at.row * 16 + at.column)])).bits);
      };
      in.push_back(half(0) | half(1) << 16);
    }
  for (int thread = 0; thread < 128; ++thread)
    for (int i = 0; i < p.n / 2; ++i) {
      const Position at = d_of(thread, i);
      in.push_back(std::bit_cast<uint32_t>(float(p.d[size_t(at.row * p.n + at.column)])));
    }
  return in;
}

class PtxWgmma : public HopperProbes {
 protected:
  template <class T>
  void expect_product(const std::string& probe, int n, Swizzle swizzle, Major a_major, Major b_major) const {
    const Problem p(n, uint64_t(n));
    const Registers out = after(probe, words_of<T>(p, swizzle, a_major, b_major), 2 * n);
    int wrong = 0;
    for (int thread = 0; thread < 128; ++thread)
      for (int i = 0; i < n / 2; ++i) {
        const Position at = d_of(thread, i);
        const float got = std::bit_cast<float>(out[size_t(thread * (n / 2) + i)]);
        if (got != float(p.result(at.row, at.column)) && ++wrong < 4)
          ADD_FAILURE() << probe << ": d[" << at.row << "][" << at.column << "] is " << got << ", wanted "
                        << p.result(at.row, at.column);
      }
    EXPECT_EQ(wrong, 0) << probe;
  }
};

TEST_P(PtxWgmma, EveryWidthSwizzleAndOrder) {
  constexpr Major k = Major::k, mn = Major::mn;
  expect_product<bf16>("wgmma_64_b128_kk", 64, Swizzle::b128, k, k);
  expect_product<bf16>("wgmma_96_b64_kk", 96, Swizzle::b64, k, k);
  expect_product<bf16>("wgmma_128_b32_kk", 128, Swizzle::b32, k, k);
  expect_product<bf16>("wgmma_160_none_kk", 160, Swizzle::none, k, k);
  expect_product<bf16>("wgmma_192_b64_mk", 192, Swizzle::b64, mn, k);
  expect_product<bf16>("wgmma_256_b128_mm", 256, Swizzle::b128, mn, mn);
  expect_product<f16>("wgmma_64_b32_mm_f16", 64, Swizzle::b32, mn, mn);
  expect_product<f16>("wgmma_128_none_km_f16", 128, Swizzle::none, k, mn);
  expect_product<bf16>("wgmma_64_none_mm", 64, Swizzle::none, mn, mn);
}

TEST_P(PtxWgmma, AFromRegisters) {
  expect_product<bf16>("wgmma_64_b128_rk", 64, Swizzle::b128, Major::k, Major::k);
  expect_product<f16>("wgmma_256_b128_rm_f16", 256, Swizzle::b128, Major::k, Major::mn);
}

TEST_P(PtxWgmma, GroupsAndOverwriting) {
  Problem p(64, 7);
  const Registers out = after("wgmma_groups", words_of<bf16>(p, Swizzle::b128, Major::k, Major::k), 256);
  std::ranges::fill(p.d, 0.0);
  for (int thread = 0; thread < 128; ++thread)
    for (int i = 0; i < 32; ++i) {
      const Position at = d_of(thread, i);
      const float product = float(p.result(at.row, at.column));
      EXPECT_EQ(std::bit_cast<float>(out[size_t(thread * 64 + i)]), 2 * product);
      EXPECT_EQ(std::bit_cast<float>(out[size_t(thread * 64 + 32 + i)]), product + 1);
    }
}

INSTANTIATE_TEST_SUITE_P(Places, PtxWgmma, kPtxPlaces, place_name);

}  // namespace
}  // namespace dehvf
