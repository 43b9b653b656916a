// Fragments by the tables of the PTX manual, "Matrix fragments for mma.m16n8k16 with floating point type" and
// "for mma.m16n8k8" with .tf32.
#include <cmath>

#include "core/dtype.h"
#include "ptx/probes.h"

namespace dehvf {
namespace {

struct Position {
  int row, column;
};

Position a_of_k16(int lane, int i) {
  const int g = lane / 4, t = lane % 4;
  return {(i < 2) || (i >= 4 && i < 6) ? g : g + 8, i < 4 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8};
}
Position b_of_k16(int lane, int i) {
  const int g = lane / 4, t = lane % 4;
  return {i < 2 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8, g};
}
Position a_of_k8(int lane, int i) {
  const int g = lane / 4, t = lane % 4;
  return {i == 0 || i == 2 ? g : g + 8, i < 2 ? t : t + 4};
}
Position b_of_k8(int lane, int i) { return {i == 0 ? lane % 4 : lane % 4 + 4, lane / 4}; }
Position d_of(int lane, int i) { return {i < 2 ? lane / 4 : lane / 4 + 8, lane % 4 * 2 + (i & 1)}; }

template <int K>
struct Product {
  double a[16][K], b[K][8], d[16][8];

  template <class Draw>
  explicit Product(Draw draw) {
    for (auto& row : a)
      for (double& v : row) v = draw();
    for (auto& row : b)
      for (double& v : row) v = draw();
    for (auto& row : d)
      for (double& v : row) v = draw();
  }

  double result(int i, int j) const {
    double sum = d[i][j];
    for (int k = 0; k < K; ++k) sum += a[i][k] * b[k][j];
    return sum;
  }
};

uint32_t bits_of(double x) { return std::bit_cast<uint32_t>(float(x)); }

template <class T>
uint32_t pair_of(double low, double high) {
  return T(float(low)).bits | uint32_t(T(float(high)).bits) << 16;
}

template <class T>
Registers registers_of(const Product<16>& p) {
  Registers in;
  for (int lane = 0; lane < 32; ++lane) {
    const auto d = [&](int i) { return p.d[d_of(lane, i).row][d_of(lane, i).column]; };
    const auto a = [&](int i) { return p.a[a_of_k16(lane, i).row][a_of_k16(lane, i).column]; };
    const auto b = [&](int i) { return p.b[b_of_k16(lane, i).row][b_of_k16(lane, i).column]; };
    for (int i = 0; i < 4; ++i) in.push_back(bits_of(d(i)));
    for (int i = 0; i < 8; i += 2) in.push_back(pair_of<T>(a(i), a(i + 1)));
    for (int i = 0; i < 4; i += 2) in.push_back(pair_of<T>(b(i), b(i + 1)));
  }
  return in;
}

Registers registers_of(const Product<8>& p, uint32_t ignored) {
  Registers in;
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) in.push_back(bits_of(p.d[d_of(lane, i).row][d_of(lane, i).column]));
    for (int i = 0; i < 4; ++i)
      in.push_back(bits_of(p.a[a_of_k8(lane, i).row][a_of_k8(lane, i).column]) | ignored);
    for (int i = 0; i < 2; ++i)
      in.push_back(bits_of(p.b[b_of_k8(lane, i).row][b_of_k8(lane, i).column]) | ignored);
  }
  return in;
}

template <int K>
void expect_result(const Registers& out, const Product<K>& p) {
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      const Position at = d_of(lane, i);
      EXPECT_EQ(std::bit_cast<float>(out[size_t(lane * 4 + i)]), p.result(at.row, at.column))
          << "d[" << at.row << "][" << at.column << "]";
    }
}

// Integers whose products and sums are exact in every format.
struct Integers {
  std::mt19937_64 random;
  double operator()() { return double(int(random() % 33) - 16); }
};

class PtxMma : public PtxProbes {};

TEST_P(PtxMma, M16n8k16) {
  for (uint64_t seed : {1, 2, 3}) {
    const Product<16> p(Integers{std::mt19937_64(seed)});
    expect_result(after("mma_m16n8k16_bf16", registers_of<bf16>(p), 4), p);
    expect_result(after("mma_m16n8k16_f16", registers_of<f16>(p), 4), p);
  }
}

TEST_P(PtxMma, M16n8k8OfTf32) {
  for (uint64_t seed : {4, 5, 6}) {
    const Product<8> p(Integers{std::mt19937_64(seed)});
    expect_result(after("mma_m16n8k8_tf32", registers_of(p, 0), 4), p);
    expect_result(after("mma_m16n8k8_tf32", registers_of(p, 0x1fff), 4), p);
  }
}

// (1 + 2^-7)^2 has 15 bits behind the point, and with 1000 in front of it all 24 of a float.
TEST_P(PtxMma, ProductsAreNotRoundedToTheTypeOfTheirFactors) {
  int calls = 0;
  Product<16> p([&] { return ++calls <= 16 * 16 + 16 * 8 ? 1 + 0x1p-7 : 96; });
  expect_result(after("mma_m16n8k16_bf16", registers_of<bf16>(p), 4), p);
  expect_result(after("mma_m16n8k16_f16", registers_of<f16>(p), 4), p);
}

// The smallest half, the largest, infinity and NaN each meet a one.
TEST_P(PtxMma, HalvesOfEveryKind) {
  Product<16> p([] { return 0.0; });
  const double kinds[] = {0x1p-24, 0x1.ff8p-15, -0x1p-14, 65504, INFINITY, -INFINITY, NAN, -0.0};
  for (int i = 0; i < 8; ++i) p.a[i][2 * i] = kinds[i];
  for (int k = 0; k < 16; ++k) p.b[k][k % 8] = 1;
  const Registers out = after("mma_m16n8k16_f16", registers_of<f16>(p), 4);
  for (int i = 0; i < 8; ++i) {
    const int column = 2 * i % 8, lane = i * 4 + column / 2;
    const float got = std::bit_cast<float>(out[size_t(lane * 4 + column % 2)]);
    if (std::isnan(kinds[i]))
      EXPECT_TRUE(std::isnan(got));
    else
      EXPECT_EQ(got, float(kinds[i]));
  }
}

INSTANTIATE_TEST_SUITE_P(Places, PtxMma, kPtxPlaces, place_name);

}  // namespace
}  // namespace dehvf
