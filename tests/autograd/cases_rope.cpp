#include <complex>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/rope.h"
#include "core/ops/check.h"
#include "op_cases.h"

namespace dehvf {
namespace {

const std::vector<int32_t> kPositions{0, 1, 5, 5, 30, 2, 36};

// Each pair as a complex number, turned by position * theta^(-2i/dim), in plain f64.
Op turned(int64_t heads, int64_t dim, double theta) {
  const auto tokens = int64_t(kPositions.size());
  return plain({tokens, heads, dim}, [=](const Doubles& in, std::span<double> out) {
    const int64_t half = dim / 2;
    for (int64_t row = 0; row < tokens * heads; ++row)
      for (int64_t i = 0; i < half; ++i) {
        const auto a = size_t(row * dim + i), b = a + size_t(half);
        const double angle =
            kPositions[size_t(row / heads)] * std::pow(theta, -2.0 * double(i) / double(dim));
        const auto pair = std::complex(in[0][a], in[0][b]) * std::polar(1.0, angle);
        out[a] = pair.real();
        out[b] = pair.imag();
      }
  });
}

Op rope_op(int64_t dim, double theta) {
  return [=](std::span<const Variable> in) {
    const RopeTable table = rope_table({.theta = theta}, dim, 37, statistics_dtype(in[0].dtype()));
    return rope(in[0], tensor_of(kPositions), table);
  };
}

// K: a rounding each of cos, sin, two products and a sum.
const AddCase rope_case({"rope", {{"x", {7, 3, 14}}}, rope_op(14, 10000), turned(3, 14, 10000), 5});
const AddCase rope_pair_case({"rope_one_pair", {{"x", {7, 1, 2}}}, rope_op(2, 500), turned(1, 2, 500), 5});
const AddCase rope_two_case({"rope_of_two",
                             {{"q", {7, 3, 14}}, {"k", {7, 3, 14}}},
                             [](std::span<const Variable> in) {
                               const auto dtype = statistics_dtype(in[0].dtype());
                               const RopeTable table = rope_table({.theta = 500}, 14, 37, dtype);
                               const auto [q, k] = rope(in[0], in[1], tensor_of(kPositions), table);
                               return add(q, scale(k, -2));
                             },
                             [](std::span<const Variable> in) {
                               const RopeTable table = rope_table({.theta = 500}, 14, 37, DType::f64);
                               return add(rope(in[0], tensor_of(kPositions), table),
                                          scale(rope(in[1], tensor_of(kPositions), table), -2));
                             },
                             15,
                             12,
                             3});

}  // namespace
}  // namespace dehvf
