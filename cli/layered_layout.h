// Places the nodes of a small acyclic graph in layers, top down, with few crossings.
#pragma once

#include <span>
#include <utility>
#include <vector>

namespace dehvf::cli {

struct Point {
  double x = 0, y = 0;
};
struct Extent {
  double width = 0, height = 0;
};

struct Layout {
  std::vector<Point> centres;  // of the nodes
  std::vector<std::vector<Point>>
      ways;       // of the edges, around all nodes between: bottom to top of their ends
  Extent extent;  // from (0, 0)
};

/// Edges lead from a node to one with a larger index.
Layout layered_layout(std::span<const Extent> nodes, std::span<const std::pair<int, int>> edges);

}  // namespace dehvf::cli
