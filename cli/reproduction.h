// A table or claim of a paper beside what can be said of it here.
#pragma once

#include <filesystem>
#include <optional>

#include "bench/compare.h"

namespace dehvf::cli {

struct Figure {
  std::string method, what;
  std::string unit;  // the difference of "%" and "points" is in points, that of others relative
  std::optional<double> published, here;
  std::string source;  // of the published one

  std::optional<double> difference() const;
};

struct Reproduction {
  std::string name, title, claim;
  std::vector<Figure> figures;
  std::vector<TextTable> details;
  std::vector<std::string> commands, needs, differs, missing;
};

struct ReproduceOptions {
  std::filesystem::path assets;
  MachineRates rates;   // of the machine that times are forecast for
  std::string machine;  // its name
};

/// Rows of the toy that a table is held against, empty for all; nothing where it does without.
std::optional<std::vector<std::string>> toy_rows_for(const Json& table);

/// `table` as published_table() gives it; `toy` is a results.json of the toy, or null where toy_rows_for() is
/// nothing. Throws IoError for one that is damaged.
Reproduction reproduce_table(const Json& table, const Json& toy, const ReproduceOptions& options);

}  // namespace dehvf::cli
