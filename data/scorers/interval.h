// How far a share of right answers may be from the truth.
#pragma once

#include <cstdint>

namespace dehvf {

struct Interval {
  double low = 0, high = 1;
};

/// Wilson's score interval at 95% for `right` of `of` (Wilson, 1927); [0, 1] when nothing was counted.
Interval wilson_95(int64_t right, int64_t of);

}  // namespace dehvf
