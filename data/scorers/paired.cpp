#include "data/scorers/paired.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/random.h"

namespace dehvf {

McNemar mcnemar(int64_t only_first, int64_t only_second) {
  require<Error>(only_first >= 0 && only_second >= 0, "mcnemar: wanted counts, found ", only_first, " and ",
                 only_second);
  const int64_t few = std::min(only_first, only_second), all = only_first + only_second;
  const double half = double(all) * std::log(0.5);
  double tail = 0;
  for (int64_t k = 0; k <= few; ++k)
    tail += std::exp(std::lgamma(double(all) + 1) - std::lgamma(double(k) + 1) -
                     std::lgamma(double(all - k) + 1) + half);
  return {only_first, only_second, std::min(1.0, 2 * tail)};
}

McNemar mcnemar(std::span<const double> first, std::span<const double> second) {
  require<Error>(first.size() == second.size(), "mcnemar: wanted as many samples on both sides, found ",
                 first.size(), " and ", second.size());
  int64_t only_first = 0, only_second = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    only_first += first[i] > second[i];
    only_second += first[i] < second[i];
  }
  return mcnemar(only_first, only_second);
}

PairedBootstrap paired_bootstrap(std::span<const double> first, std::span<const double> second,
                                 int64_t rounds, uint64_t seed) {
  require<Error>(first.size() == second.size() && rounds > 0,
                 "paired_bootstrap: wanted as many samples on both sides and at least one round, found ",
                 first.size(), " and ", second.size(), ", ", rounds, " rounds");
  const auto count = int64_t(first.size());
  if (count == 0) return {};
  std::vector<double> differences, means;
  PairedBootstrap result;
  for (size_t i = 0; i < first.size(); ++i) {
    differences.push_back(first[i] - second[i]);
    result.difference += differences.back() / double(count);
  }
  Random random(random_key({seed, 0x70616972}));
  int64_t below = 0, above = 0;
  for (int64_t round = 0; round < rounds; ++round) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += differences[size_t(random.below(count))];
    means.push_back(sum / double(count));
    below += sum <= 0;
    above += sum >= 0;
  }
  std::ranges::sort(means);
  const auto at = [&](double share) { return means[size_t(share * double(rounds - 1) + 0.5)]; };
  result.interval = {at(0.025), at(0.975)};
  result.p = std::min(1.0, 2 * double(std::min(below, above) + 1) / double(rounds + 1));
  return result;
}

}  // namespace dehvf
