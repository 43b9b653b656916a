#include "data/scorers/interval.h"

#include <cmath>

#include "core/error.h"

namespace dehvf {

Interval wilson_95(int64_t right, int64_t of) {
  require<Error>(right >= 0 && right <= of, "wilson_95: wanted 0 <= right <= of, found ", right, " of ", of);
  if (of == 0) return {};
  constexpr double kZ = 1.959963984540054;  // the normal distribution's 97.5% point
  const double n = double(of), share = double(right) / n, scale = 1 + kZ * kZ / n;
  const double middle = (share + kZ * kZ / (2 * n)) / scale;
  const double half = kZ / scale * std::sqrt(share * (1 - share) / n + kZ * kZ / (4 * n * n));
  // Exactly 0 and 1 at the ends, where the formula leaves a rounding error.
  return {right == 0 ? 0 : middle - half, right == of ? 1 : middle + half};
}

}  // namespace dehvf
