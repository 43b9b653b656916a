#include "models/position_grid.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dehvf {
namespace {

// Keys' cubic convolution kernel.
double cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

// [to, from]: every new row as a weighted sum of old ones. Plain: four of them, those beyond the edge are
// the edge's. Widened: all in reach of the stretched kernel, normalised.
std::vector<double> axis(int64_t from, int64_t to, bool widened) {
  std::vector<double> weights(size_t(to * from));
  const double ratio = double(from) / double(to), stretch = widened ? std::max(ratio, 1.0) : 1;
  const double a = widened ? -0.5 : -0.75;
  for (int64_t i = 0; i < to; ++i) {
    double* row = weights.data() + i * from;
    const double centre = (double(i) + 0.5) * ratio - 0.5;
    const auto low = int64_t(std::ceil(centre - 2 * stretch)), high = int64_t(centre + 2 * stretch);
    double sum = 0;
    for (int64_t j = low; j <= high; ++j) {
      if (widened && (j < 0 || j >= from)) continue;
      const double weight = cubic((double(j) - centre) / stretch, a);
      row[std::clamp<int64_t>(j, 0, from - 1)] += weight;
      sum += weight;
    }
    for (int64_t j = 0; j < from; ++j) row[j] /= sum;
  }
  return weights;
}

}  // namespace

Tensor resample_positions(const Tensor& stored, const VisionConfig& config) {
  const int64_t from = config.stored_grid(), to = config.grid(), width = config.width,
                first = config.class_token();
  const std::vector<double> weights = axis(from, to, config.registers > 0);
  const double* old = stored.data<double>() + first * width;
  std::vector<double> rows(size_t(to * from * width));  // the first axis done
  for (int64_t y = 0; y < to; ++y)
    for (int64_t j = 0; j < from; ++j) {
      const double weight = weights[size_t(y * from + j)];
      if (weight == 0) continue;
      for (int64_t e = 0; e < from * width; ++e)
        rows[size_t(y * from * width + e)] += weight * old[j * from * width + e];
    }
  Tensor result = zeros({config.tokens(), width}, DType::f64);
  std::copy_n(stored.data<double>(), first * width, result.data<double>());
  for (int64_t y = 0; y < to; ++y)
    for (int64_t x = 0; x < to; ++x) {
      double* out = result.data<double>() + (first + y * to + x) * width;
      for (int64_t j = 0; j < from; ++j)
        for (int64_t c = 0; c < width; ++c)
          out[c] += weights[size_t(x * from + j)] * rows[size_t((y * from + j) * width + c)];
    }
  return result;
}

}  // namespace dehvf
