// Antialiased drawing on small pictures: regions given by a signed distance, and sprites.
#pragma once

#include <functional>
#include <vector>

#include "data/image.h"

namespace dehvf {

struct Point {
  double x = 0, y = 0;
};

struct Colour {
  double red = 0, green = 0, blue = 0;  // 0 to 1
};

Colour mix(const Colour& a, const Colour& b, double share_of_b);

/// Where a sprite goes: its square's upper left corner and side in pixels of the canvas, fractions allowed.
struct Placement {
  double left = 0, top = 0, side = 0;
  bool mirrored = false;
};

/// Pixel (x, y) is the unit square whose upper left corner is the point (x, y).
class Canvas {
 public:
  Canvas(int width, int height, const Colour& fill);

  /// Signed distance in pixels, negative inside. `paint` looks within `reach` of `centre` only.
  using Distance = std::function<double(const Point&)>;
  void paint(const Colour& colour, const Distance& distance);
  void paint(const Colour& colour, const Distance& distance, const Point& centre, double reach);

  /// Draws the sprite with its alpha; a pixel takes the mean of what its square covers.
  void paste(const RgbaImage& sprite, const Placement& where);

  Image image() const;

 private:
  void blend(int x, int y, const Colour& colour, double alpha);

  int width_, height_;
  std::vector<Colour> pixels_;
};

}  // namespace dehvf
