// Whether one set of predictions is better than another on the same samples, or only luckier.
#pragma once

#include <cstdint>
#include <span>

#include "data/scorers/interval.h"

namespace dehvf {

/// McNemar's test, exact: of the samples that only one side has right, how likely is it that a fair coin
/// divides them at least as unevenly (two-sided).
struct McNemar {
  int64_t only_first = 0, only_second = 0;
  double p = 1;
};
McNemar mcnemar(int64_t only_first, int64_t only_second);
/// Of scores that are 0 or 1.
McNemar mcnemar(std::span<const double> first, std::span<const double> second);

/// The mean of first - second over the samples, with the 95% percentile interval of means over samples drawn
/// with replacement (Efron, 1979), the same for both sides, and the two-sided share of those means on the
/// other side of zero.
struct PairedBootstrap {
  double difference = 0;
  Interval interval{0, 0};
  double p = 1;
};
PairedBootstrap paired_bootstrap(std::span<const double> first, std::span<const double> second,
                                 int64_t rounds = 10000, uint64_t seed = 1);

}  // namespace dehvf
