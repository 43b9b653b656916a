// The eight outlines of the demo's scenes.
#pragma once

#include <string>
#include <vector>

#include "data/draw.h"

namespace dehvf {

const std::vector<std::string>& shape_names();

/// Signed distance from an outline of radius about 1 around the origin, negative inside. `shape` counts
/// shape_names().
double shape_distance(int shape, const Point& point);

/// Signed distance from a closed polygon of any turn.
double polygon_distance(const std::vector<Point>& corners, const Point& point);

}  // namespace dehvf
