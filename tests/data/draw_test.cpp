// Drawing: areas, distances, sprites.
#include "data/draw.h"

#include <cmath>
#include <numbers>
#include <set>

#include <gtest/gtest.h>

#include "core/random.h"
#include "data/shapes.h"

namespace dehvf {
namespace {

// Share of the canvas that white paint covers.
double painted_area(const Image& image) {
  double sum = 0;
  for (uint8_t value : image.rgb) sum += value / 255.0 / 3;
  return sum;
}

TEST(Draw, CoversTheAreaOfACircle) {
  Random random(1);
  for (int i = 0; i < 20; ++i) {
    const double radius = 3 + 8 * random.uniform();
    const Point centre{14 + 4 * random.uniform(), 14 + 4 * random.uniform()};
    Canvas canvas(32, 32, {});
    canvas.paint(
        {1, 1, 1}, [&](const Point& p) { return std::hypot(p.x - centre.x, p.y - centre.y) - radius; },
        centre, radius + 1);
    // About 2 pi r edge pixels, each off by at most a tenth, with random signs.
    EXPECT_NEAR(painted_area(canvas.image()), std::numbers::pi * radius * radius,
                0.1 * 3 * std::sqrt(2 * std::numbers::pi * radius) + 0.1);
  }
}

TEST(Draw, MeasuresDistancesFromPolygons) {
  const std::vector<Point> square{{-1, -1}, {1, -1}, {1, 1}, {-1, 1}};
  EXPECT_DOUBLE_EQ(polygon_distance(square, {0, 0}), -1);
  EXPECT_DOUBLE_EQ(polygon_distance(square, {0.5, -0.25}), -0.5);
  EXPECT_DOUBLE_EQ(polygon_distance(square, {3, 0.5}), 2);
  EXPECT_DOUBLE_EQ(polygon_distance(square, {4, 5}), 5);
}

TEST(Draw, OutlinesDifferAndStayWithinTheirReach) {
  ASSERT_EQ(shape_names().size(), 8u);
  std::set<std::vector<bool>> masks;
  for (int shape = 0; shape < 8; ++shape) {
    std::vector<bool> mask;
    for (double y = -1.6; y <= 1.6; y += 0.08)
      for (double x = -1.6; x <= 1.6; x += 0.08) {
        const double distance = shape_distance(shape, {x, y});
        mask.push_back(distance < 0);
        if (std::hypot(x, y) > 1.15 + 1e-9) EXPECT_GE(distance, 0) << shape;
        // Distances change no faster than the point moves.
        EXPECT_LE(std::abs(shape_distance(shape, {x + 0.01, y}) - distance), 0.01 + 1e-12) << shape;
      }
    masks.insert(mask);
  }
  EXPECT_EQ(masks.size(), 8u);
}

RgbaImage flat_sprite(int side, std::array<uint8_t, 4> colour) {
  RgbaImage sprite(side, side);
  for (size_t i = 0; i < sprite.rgba.size(); ++i) sprite.rgba[i] = colour[i % 4];
  return sprite;
}

TEST(Draw, PastesSpritesAtAnyPlaceAndSize) {
  Random random(2);
  const RgbaImage white = flat_sprite(48, {255, 255, 255, 255}), faint = flat_sprite(48, {255, 255, 255, 51});
  for (int i = 0; i < 50; ++i) {
    const Placement where{8 * random.uniform(), 8 * random.uniform(), 3 + 20 * random.uniform(), i % 2 == 1};
    Canvas opaque(32, 32, {}), thin(32, 32, {});
    opaque.paste(white, where);
    thin.paste(faint, where);
    // Only rounding to bytes is lost: at most half a step in each pixel of the border, or of the whole.
    EXPECT_NEAR(painted_area(opaque.image()), where.side * where.side, (4 * where.side + 8) * 0.5 / 255);
    EXPECT_NEAR(painted_area(thin.image()), where.side * where.side * 0.2,
                (where.side + 2) * (where.side + 2) * 0.5 / 255);
  }
}

TEST(Draw, PastesPixelsUnchangedAtTheirOwnSize) {
  Random random(3);
  RgbaImage sprite(5, 5);
  for (auto& value : sprite.rgba) value = uint8_t(random.word());
  for (int i = 0; i < 25; ++i) sprite.rgba[size_t(4 * i + 3)] = 255;
  for (bool mirrored : {false, true}) {
    Canvas canvas(7, 8, {0.2, 0.4, 0.6});
    canvas.paste(sprite, {1, 2, 5, mirrored});
    const Image image = canvas.image();
    for (int y = 0; y < 8; ++y)
      for (int x = 0; x < 7; ++x)
        for (int c = 0; c < 3; ++c) {
          const bool inside = x >= 1 && x < 6 && y >= 2 && y < 7;
          const int column = mirrored ? 5 - x : x - 1;
          EXPECT_EQ(image.row(y)[3 * x + c], inside ? sprite.row(y - 2)[4 * column + c] : 51 * (c + 1));
        }
  }
}

TEST(Draw, IgnoresTheColourOfTransparentPixels) {
  RgbaImage sprite(2, 2);
  for (int i = 0; i < 4; ++i) {
    const bool opaque = i == 0;
    sprite.rgba[size_t(4 * i)] = opaque ? 255 : 0;
    sprite.rgba[size_t(4 * i + 1)] = opaque ? 0 : 255;
    sprite.rgba[size_t(4 * i + 3)] = opaque ? 255 : 0;
  }
  Canvas canvas(1, 1, {0, 0, 1});
  canvas.paste(sprite, {0, 0, 1, false});
  EXPECT_EQ(canvas.image().rgb, (std::vector<uint8_t>{64, 0, 191}));
}

TEST(Draw, ClipsAtTheEdges) {
  const RgbaImage white = flat_sprite(48, {255, 255, 255, 255});
  Canvas canvas(10, 10, {});
  canvas.paste(white, {-3, -3, 6, false});
  canvas.paste(white, {8, 9, 50, false});
  canvas.paste(white, {20, -90, 5, false});
  EXPECT_NEAR(painted_area(canvas.image()), 9 + 2, 1e-9);
}

}  // namespace
}  // namespace dehvf
