// Worlds for the tests of scenes, and bounds for counts of independent draws.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "data/scene_world.h"

namespace dehvf {

/// Twelve classes of ten flat sprites; sprite i of any class has red 20 * i and a green that names the class.
inline SceneWorld picture_world(int side = 32) {
  std::vector<SpriteClass> classes;
  for (int kind = 0; kind < 12; ++kind) {
    classes.push_back({"thing" + std::to_string(kind), {}});
    for (int i = 0; i < 10; ++i) {
      RgbaImage sprite(48, 48);
      for (size_t p = 0; p < 48 * 48; ++p) {
        sprite.rgba[4 * p] = uint8_t(20 * i);
        sprite.rgba[4 * p + 1] = uint8_t(3 + 20 * kind);
        sprite.rgba[4 * p + 2] = 7;
        sprite.rgba[4 * p + 3] = 255;
      }
      classes.back().sprites.push_back(sprite);
    }
  }
  return SceneWorld::pictures(std::move(classes), side);
}

/// A picture's pixels as a key.
inline std::string bytes_of(const Image& image) { return {image.rgb.begin(), image.rgb.end()}; }

/// A chi-square variable of `freedom` degrees exceeds this with probability below one in a million
/// (Laurent and Massart, 2000).
inline double chi_square_bound(double freedom) {
  constexpr double kLog = 13.8;
  return freedom + 2 * std::sqrt(freedom * kLog) + 2 * kLog;
}

/// Pearson's statistic of independence of rows and columns with given shares.
inline double chi_square(const std::vector<std::vector<double>>& counts) {
  std::vector<double> rows(counts.size()), columns(counts[0].size());
  double total = 0, sum = 0;
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t j = 0; j < columns.size(); ++j)
      rows[i] += counts[i][j], columns[j] += counts[i][j], total += counts[i][j];
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t j = 0; j < columns.size(); ++j) {
      const double expected = rows[i] * columns[j] / total;
      sum += (counts[i][j] - expected) * (counts[i][j] - expected) / expected;
    }
  return sum;
}

}  // namespace dehvf
