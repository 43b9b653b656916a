#include "data/resize.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace dehvf {
namespace {

constexpr int kFractionBits = 22;  // 32 bits less 8 for the sample and 2 for overshoot and sign

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

// Which inputs an output reads, and their weights in fixed point.
struct Tap {
  int first, count;
  size_t weights;  // index into Taps::weights
};
struct Taps {
  std::vector<Tap> outputs;
  std::vector<int32_t> weights;
};

// The taps of outputs [begin, end) when `in` samples become `out`.
Taps make_taps(int in, int out, int begin, int end) {
  const double scale = double(in) / out;
  const double filter_scale = std::max(scale, 1.0);
  const double support = 2 * filter_scale;
  Taps taps;
  std::vector<double> values;
  for (int o = begin; o < end; ++o) {
    const double centre = (o + 0.5) * scale;
    const int first = std::max(int(std::floor(centre - support + 0.5)), 0);
    const int last = std::min(int(std::floor(centre + support + 0.5)), in);
    values.clear();
    double sum = 0;
    for (int i = 0; i < last - first; ++i) {
      values.push_back(bicubic((i + first - centre + 0.5) * (1.0 / filter_scale)));
      sum += values.back();
    }
    taps.outputs.push_back({first, last - first, taps.weights.size()});
    for (double value : values) {
      const double weight = (sum != 0 ? value / sum : value) * (1 << kFractionBits);
      taps.weights.push_back(int32_t(weight < 0 ? weight - 0.5 : weight + 0.5));
    }
  }
  return taps;
}

// The weighted sum of tap.count RGB samples that lie `stride` bytes apart.
void weigh(const uint8_t* in, size_t stride, const int32_t* weights, int count, uint8_t* out) {
  int32_t sum[3] = {1 << (kFractionBits - 1), 1 << (kFractionBits - 1), 1 << (kFractionBits - 1)};
  for (int i = 0; i < count; ++i, in += stride)
    for (int c = 0; c < 3; ++c) sum[c] += in[c] * weights[i];
  for (int c = 0; c < 3; ++c) out[c] = uint8_t(std::clamp(sum[c] >> kFractionBits, 0, 255));
}

// Columns [left, left + width) of the picture made `full` pixels wide, of rows [top, bottom).
Image horizontal(const Image& image, int full, int left, int width, int top, int bottom) {
  const Taps taps = make_taps(image.width, full, left, left + width);
  Image result(width, bottom - top);
  for (int y = 0; y < result.height; ++y)
    for (int x = 0; x < width; ++x) {
      const Tap& tap = taps.outputs[size_t(x)];
      weigh(image.row(top + y) + 3 * tap.first, 3, &taps.weights[tap.weights], tap.count,
            result.row(y) + 3 * x);
    }
  return result;
}

// The vertical pass over an image whose first row is row `top` of what the taps speak of.
Image vertical(const Image& image, const Taps& taps, int top) {
  Image result(image.width, int(taps.outputs.size()));
  const size_t stride = size_t(3) * size_t(image.width);
  for (int y = 0; y < result.height; ++y) {
    const Tap& tap = taps.outputs[size_t(y)];
    for (int x = 0; x < image.width; ++x)
      weigh(image.row(tap.first - top) + 3 * x, stride, &taps.weights[tap.weights], tap.count,
            result.row(y) + 3 * x);
  }
  return result;
}

Image cut(const Image& image, int left, int top, int width, int height) {
  Image result(width, height);
  for (int y = 0; y < height; ++y) std::copy_n(image.row(top + y) + 3 * left, 3 * width, result.row(y));
  return result;
}

}  // namespace

Image resize_bicubic(const Image& image, int width, int height, const Window& w) {
  require<Error>(image.width > 0 && image.height > 0, "resize_bicubic: the picture is empty");
  require<Error>(w.left >= 0 && w.top >= 0 && w.width > 0 && w.height > 0 && w.width <= width - w.left &&
                     w.height <= height - w.top,
                 "resize_bicubic: window ", w.width, " x ", w.height, " at ", w.left, ", ", w.top,
                 " does not lie in a picture of ", width, " x ", height);
  Taps taps;
  int top = w.top, bottom = w.top + w.height;
  if (height != image.height) {
    taps = make_taps(image.height, height, top, bottom);
    top = taps.outputs.front().first;
    bottom = taps.outputs.back().first + taps.outputs.back().count;
  }
  require<Error>(int64_t(w.width) * std::max(bottom - top, w.height) <= 4 * kMaxPixels,
                 "resize_bicubic: ", image.width, " x ", image.height, " to ", width, " x ", height,
                 " passes through too many pixels");
  // A pass that changes nothing is left out, as in Pillow.
  Image rows = width == image.width ? cut(image, w.left, top, w.width, bottom - top)
                                    : horizontal(image, width, w.left, w.width, top, bottom);
  return height == image.height ? rows : vertical(rows, taps, top);
}

Image resize_bicubic(const Image& image, int width, int height) {
  return resize_bicubic(image, width, height, {0, 0, width, height});
}

}  // namespace dehvf
