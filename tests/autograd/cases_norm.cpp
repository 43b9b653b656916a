#include <algorithm>
#include <cmath>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/norm.h"
#include "autograd/ops/softmax.h"
#include "autograd/reference.h"
#include "op_cases.h"

namespace dehvf {
namespace {

constexpr double kEps = 1e-5;

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (double v : values) sum += v;
  return sum / double(values.size());
}

double mean_square(std::span<const double> values, double center) {
  double sum = 0;
  for (double v : values) sum += (v - center) * (v - center);
  return sum / double(values.size());
}

Op rows_of(const Shape& shape, std::function<void(const Doubles&, std::span<const double>, size_t,
                                                  std::span<double>)>
                                   row) {  // (inputs, x row, first, y row)
  return plain(shape, [=](const Doubles& in, std::span<double> out) {
    const auto width = size_t(shape.last());
    for (size_t i = 0; i < out.size(); i += width) row(in, in[0].subspan(i, width), i, out.subspan(i, width));
  });
}

Op rms_reference(const Shape& shape) {
  return rows_of(shape, [](const Doubles& in, std::span<const double> x, size_t, std::span<double> y) {
    const double inv = 1 / std::sqrt(mean_square(x, 0) + kEps);
    for (size_t c = 0; c < x.size(); ++c) y[c] = x[c] * inv * in[1][c];
  });
}

Op layer_reference(const Shape& shape) {
  return rows_of(shape, [](const Doubles& in, std::span<const double> x, size_t, std::span<double> y) {
    const double mean = mean_of(x), inv = 1 / std::sqrt(mean_square(x, mean) + kEps);
    for (size_t c = 0; c < x.size(); ++c) y[c] = (x[c] - mean) * inv * in[1][c] + in[2][c];
  });
}

Op softmax_reference(const Shape& shape) {
  return rows_of(shape, [](const Doubles&, std::span<const double> x, size_t, std::span<double> y) {
    const double top = *std::ranges::max_element(x);
    double sum = 0;
    for (double v : x) sum += std::exp(v - top);
    for (size_t c = 0; c < x.size(); ++c) y[c] = std::exp(x[c] - top) / sum;
  });
}

const bool kNorms = [] {
  // Below a vector, a prime, above one chunk of columns; and rows enough for several tasks.
  for (const Shape& shape : {Shape{1}, Shape{5, 1}, Shape{3, 7, 611}, Shape{67, 1031}}) {
    const std::string suffix = concat("_", shape.rows(), "x", shape.last());
    const int64_t width = shape.last();
    // Explicit roundings: the normalised value and the result.
    AddCase({"rms_norm" + suffix,
             {{"x", shape, -3, 3}, {"weight", {width}}},
             [](auto in) { return rms_norm(in[0], in[1], kEps); },
             rms_reference(shape),
             double(width),
             0,
             2,
             true,
             width == 1 ? 1e-6 : 1e-5});  // near 0 a width of 1 bends within sqrt(eps)
    AddCase({"layer_norm" + suffix,
             {{"x", shape, -3, 3}, {"weight", {width}}, {"bias", {width}}},
             [](auto in) { return layer_norm(in[0], in[1], in[2], kEps); },
             layer_reference(shape),
             double(width)});
    // Both outputs in one; explicit roundings: the sum, the normalised value, the norm and the result.
    AddCase({"add_rms_norm" + suffix,
             {{"x", shape, -3, 3}, {"residual", shape, -3, 3}, {"weight", {width}}},
             [](auto in) {
               const auto [sum, normed] = add_rms_norm(in[0], in[1], in[2], kEps);
               return add(sum, normed);
             },
             [](auto in) {
               const Variable sum = add(in[0], in[1]);
               return add(sum, rms_norm_reference(sum, in[2], kEps));
             },
             double(width),
             0,
             4,
             true,
             width == 1 ? 1e-6 : 1e-5});
    AddCase({"add_layer_norm" + suffix,
             {{"x", shape, -3, 3}, {"residual", shape, -3, 3}, {"weight", {width}}, {"bias", {width}}},
             [](auto in) {
               const auto [sum, normed] = add_layer_norm(in[0], in[1], in[2], in[3], kEps);
               return add(sum, normed);
             },
             [](auto in) {
               const Variable sum = add(in[0], in[1]);
               return add(sum, layer_norm_reference(sum, in[2], in[3], kEps));
             },
             double(width),
             0,
             3});
    // exp(x - top) multiplies the rounding of its argument by up to |x - top| = 16.
    AddCase({"softmax" + suffix,
             {{"x", shape, -8, 8}},
             [](auto in) { return softmax(in[0]); },
             softmax_reference(shape),
             256.0 + double(width)});
  }
  return true;
}();

// A mean far from zero: the variance must come from centred values. |x| inv_deviation is about 20.
const AddCase shifted_layer_norm({"layer_norm_far_from_zero",
                                  {{"x", {11, 257}, 9, 11}, {"weight", {257}}, {"bias", {257}}},
                                  [](auto in) { return layer_norm(in[0], in[1], in[2], kEps); },
                                  layer_reference({11, 257}),
                                  257,
                                  20});
const AddCase shifted_softmax({"softmax_far_from_zero",
                               {{"x", {3, 13}, 990, 1000}},
                               [](auto in) { return softmax(in[0]); },
                               softmax_reference({3, 13}),
                               256});

}  // namespace
}  // namespace dehvf
