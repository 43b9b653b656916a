// What changed between two results of the same bench.
#pragma once

#include <string>
#include <vector>

#include "core/io/json.h"

namespace dehvf {

struct BenchChange {
  std::string what;      // slot/variant and shape
  double before, after;  // microseconds
  enum Verdict : uint8_t { same, faster, slower } verdict;
};

/// The rows that both results, of `bench kernels` or of `bench step`, have. They differ where the bands of
/// their rounds, from the fastest to the slowest, do not meet: everything else is noise. Throws IoError for
/// files of another kind.
std::vector<BenchChange> bench_diff(const Json& before, const Json& after);

}  // namespace dehvf
