#include "data/draw.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace dehvf {
namespace {

// The whole numbers i in [0, limit) whose interval [i, i + 1) meets [low, high].
struct Covered {
  int begin, end;
  Covered(double low, double high, int limit)
      : begin(int(std::clamp(std::floor(low), 0.0, double(limit)))),
        end(int(std::clamp(std::ceil(high), 0.0, double(limit)))) {}
};

// How much of [i, i + 1) lies in [low, high].
double overlap(int i, double low, double high) {
  return std::max(0.0, std::min(high, i + 1.0) - std::max(low, double(i)));
}

uint8_t to_byte(double value) { return uint8_t(std::lround(std::clamp(value, 0.0, 1.0) * 255)); }

}  // namespace

Colour mix(const Colour& a, const Colour& b, double share_of_b) {
  const double rest = 1 - share_of_b;
  return {rest * a.red + share_of_b * b.red, rest * a.green + share_of_b * b.green,
          rest * a.blue + share_of_b * b.blue};
}

Canvas::Canvas(int width, int height, const Colour& fill)
    : width_(width), height_(height), pixels_(size_t(width) * size_t(height), fill) {
  require<Error>(width > 0 && height > 0, "canvas: wanted a positive size, found ", width, " x ", height);
}

void Canvas::blend(int x, int y, const Colour& colour, double alpha) {
  Colour& pixel = pixels_[size_t(y) * size_t(width_) + size_t(x)];
  pixel = mix(pixel, colour, alpha);
}

void Canvas::paint(const Colour& colour, const Distance& distance) {
  paint(colour, distance, {width_ / 2.0, height_ / 2.0}, double(std::max(width_, height_)));
}

void Canvas::paint(const Colour& colour, const Distance& distance, const Point& centre, double reach) {
  const Covered columns(centre.x - reach, centre.x + reach, width_),
      rows(centre.y - reach, centre.y + reach, height_);
  for (int y = rows.begin; y < rows.end; ++y)
    for (int x = columns.begin; x < columns.end; ++x)
      blend(x, y, colour, std::clamp(0.5 - distance({x + 0.5, y + 0.5}), 0.0, 1.0));
}

void Canvas::paste(const RgbaImage& sprite, const Placement& where) {
  const double across = sprite.width / where.side,
               down = sprite.height / where.side;  // sprite pixels per pixel
  const Covered columns(where.left, where.left + where.side, width_);
  const Covered rows(where.top, where.top + where.side, height_);
  for (int y = rows.begin; y < rows.end; ++y)
    for (int x = columns.begin; x < columns.end; ++x) {
      const double left = (x - where.left) * across, top = (y - where.top) * down;
      const Covered source_columns(left, left + across, sprite.width),
          source_rows(top, top + down, sprite.height);
      double alpha = 0;
      Colour sum;
      for (int j = source_rows.begin; j < source_rows.end; ++j)
        for (int i = source_columns.begin; i < source_columns.end; ++i) {
          const uint8_t* texel = sprite.row(j) + 4 * (where.mirrored ? sprite.width - 1 - i : i);
          const double weight =
              overlap(j, top, top + down) * overlap(i, left, left + across) * texel[3] / 255.0;
          alpha += weight;
          sum.red += weight * texel[0], sum.green += weight * texel[1], sum.blue += weight * texel[2];
        }
      if (alpha == 0) continue;
      const double scale = 1 / (255 * alpha);
      blend(x, y, {sum.red * scale, sum.green * scale, sum.blue * scale}, alpha / (across * down));
    }
}

Image Canvas::image() const {
  Image image(width_, height_);
  size_t at = 0;
  for (const Colour& pixel : pixels_) {
    image.rgb[at++] = to_byte(pixel.red);
    image.rgb[at++] = to_byte(pixel.green);
    image.rgb[at++] = to_byte(pixel.blue);
  }
  return image;
}

}  // namespace dehvf
