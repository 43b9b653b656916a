// The toy's rows: adapters trained between two frozen small models and judged, as the demo and reproduce want
// them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/progress.h"
#include "core/io/json.h"

namespace dehvf::cli {

struct ToyOptions {
  std::filesystem::path out, assets;  // `out` is replaced
  std::string mode;                   // a word for the report
  std::vector<std::string> kinds{"scenes", "pictures"};
  std::vector<std::string> rows;  // names; empty: text_only and every row of toy_ablations()
  int seeds = 1;
  bool pretrain = false;  // the frozen models too, in place of those that are shipped
  int64_t steps = 0;      // of every adapter; 0: as ComparisonOptions have it
  double rate = 0;        // peak; 0: each row's own
  std::string split = "test", device = "auto";
};

/// Trains and judges all rows; writes out/results.json, which read_results() reads, and returns it.
Json run_toy(const ToyOptions& options, Progress& progress);

}  // namespace dehvf::cli
