// The learning rate over a run: linear warm-up, then half a cosine down to zero.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace dehvf {

struct Schedule {
  double peak = 1e-3;
  int64_t warmup = 0, steps = 1;  // optimizer steps

  /// Of step 0, 1, ..., steps - 1.
  double rate(int64_t step) const {
    if (step < warmup) return peak * double(step + 1) / double(warmup);
    const double progress = double(step - warmup) / double(std::max<int64_t>(1, steps - warmup));
    return peak * 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, progress)));
  }
};

}  // namespace dehvf
