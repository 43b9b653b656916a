#include "data/shapes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/error.h"

namespace dehvf {
namespace {

enum Shape { circle, square, triangle, diamond, cross, ring, star, moon };

// Corners at equal angles, the first on top, their radii taken in turn.
std::vector<Point> around(int corners, std::vector<double> radii) {
  std::vector<Point> result;
  for (int i = 0; i < corners; ++i) {
    const double angle = 2 * std::numbers::pi * i / corners, radius = radii[size_t(i) % radii.size()];
    result.push_back({radius * std::sin(angle), -radius * std::cos(angle)});
  }
  return result;
}

std::vector<Point> cross_corners() {
  constexpr double kLong = 1, kThin = 0.33;
  return {{-kThin, -kLong}, {kThin, -kLong}, {kThin, -kThin},  {kLong, -kThin},
          {kLong, kThin},   {kThin, kThin},  {kThin, kLong},   {-kThin, kLong},
          {-kThin, kThin},  {-kLong, kThin}, {-kLong, -kThin}, {-kThin, -kThin}};
}

const std::vector<Point>& corners_of(int shape) {
  static const std::vector<Point> kSquare{{-0.8, -0.8}, {0.8, -0.8}, {0.8, 0.8}, {-0.8, 0.8}};
  static const std::vector<Point> kTriangle = around(3, {1.15}), kDiamond = around(4, {1.15, 0.6});
  static const std::vector<Point> kStar = around(10, {1.15, 0.48}), kCross = cross_corners();
  switch (shape) {
    case square:
      return kSquare;
    case triangle:
      return kTriangle;
    case diamond:
      return kDiamond;
    case cross:
      return kCross;
    case star:
      return kStar;
    default:
      fail<Error>("shapes: there is no outline ", shape);
  }
}

}  // namespace

const std::vector<std::string>& shape_names() {
  static const std::vector<std::string> kNames{"circle", "square", "triangle", "diamond",
                                               "cross",  "ring",   "star",     "moon"};
  return kNames;
}

double polygon_distance(const std::vector<Point>& corners, const Point& point) {
  double nearest = std::numeric_limits<double>::infinity();
  bool inside = false;
  for (size_t i = 0, j = corners.size() - 1; i < corners.size(); j = i++) {
    const Point &a = corners[j], &b = corners[i];
    const Point edge{b.x - a.x, b.y - a.y}, to{point.x - a.x, point.y - a.y};
    const double length = edge.x * edge.x + edge.y * edge.y;
    const double t = length == 0 ? 0 : std::clamp((to.x * edge.x + to.y * edge.y) / length, 0.0, 1.0);
    nearest = std::min(nearest, std::hypot(to.x - t * edge.x, to.y - t * edge.y));
    if ((a.y > point.y) != (b.y > point.y) && point.x < a.x + edge.x * (point.y - a.y) / edge.y)
      inside = !inside;
  }
  return inside ? -nearest : nearest;
}

double shape_distance(int shape, const Point& point) {
  const double radius = std::hypot(point.x, point.y);
  if (shape == circle) return radius - 0.92;
  if (shape == ring) return std::abs(radius - 0.72) - 0.26;
  if (shape == moon) return std::max(radius - 1, 0.85 - std::hypot(point.x - 0.5, point.y));
  return polygon_distance(corners_of(shape), point);
}

}  // namespace dehvf
