// What a run's rows say of the ablations: accuracies and how far they are from DEHVF's, over its seeds.
#pragma once

#include <optional>

#include "bench/compare.h"
#include "cli/run_results.h"

namespace dehvf::cli {

/// In percent or points: the mean over seeds, the lowest and the highest.
struct Spread {
  double mean = 0, low = 0, high = 0;
  int seeds = 0;
};
/// Of a row's image accuracy on one kind of data; nothing where the run has no such row.
std::optional<Spread> accuracy_of(const RunResults& results, const std::string& name,
                                  const std::string& kind);
/// Of its distance from DEHVF's, each seed from the same seed's.
std::optional<Spread> distance_of(const RunResults& results, const std::string& name,
                                  const std::string& kind);

/// A line for every trained row; no lines where no group has a row but DEHVF's.
TextTable ablation_table(const RunResults& results);

}  // namespace dehvf::cli
