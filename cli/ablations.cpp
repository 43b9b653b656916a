#include "cli/ablations.h"

#include <algorithm>
#include <cstdio>

#include "core/error.h"

namespace dehvf::cli {
namespace {

constexpr const char* kBase = "dehvf";

const RunRow* find_row(const RunResults& results, const std::string& name, const std::string& kind,
                       int64_t seed) {
  const auto found = std::ranges::find_if(results.rows, [&](const RunRow& row) {
    return row.name == name && row.data == kind && row.seed == seed;
  });
  return found == results.rows.end() ? nullptr : &*found;
}

std::optional<Spread> spread_of(const std::vector<double>& values) {
  if (values.empty()) return {};
  Spread spread{.low = *std::ranges::min_element(values),
                .high = *std::ranges::max_element(values),
                .seeds = int(values.size())};
  for (const double value : values) spread.mean += value / double(values.size());
  return spread;
}

std::string text_of(const std::optional<Spread>& spread, const char* format) {
  if (!spread) return "–";
  const auto number = [&](double value) {
    char text[40];
    std::snprintf(text, sizeof text, format, value);
    return std::string(text);
  };
  if (spread->seeds == 1) return number(spread->mean);
  return concat(number(spread->mean), " (", number(spread->low), " to ", number(spread->high), ")");
}

}  // namespace

std::optional<Spread> accuracy_of(const RunResults& results, const std::string& name,
                                  const std::string& kind) {
  std::vector<double> values;
  for (const RunRow& row : results.rows)
    if (row.name == name && row.data == kind) values.push_back(100 * row.image);
  return spread_of(values);
}

std::optional<Spread> distance_of(const RunResults& results, const std::string& name,
                                  const std::string& kind) {
  std::vector<double> values;
  for (const RunRow& row : results.rows)
    if (const RunRow* base = find_row(results, kBase, kind, row.seed);
        base && row.name == name && row.data == kind)
      values.push_back(100 * (row.image - base->image));
  return spread_of(values);
}

TextTable ablation_table(const RunResults& results) {
  TextTable table{"Ablations", {"row", "of"}, {}};
  for (const std::string& kind : results.kinds())
    table.head.insert(table.head.end(), {concat(kind, ", %"), "points from DEHVF"});
  std::vector<std::string> seen;
  for (const RunRow& row : results.rows) {
    if (!row.evaluation_of.empty() || std::ranges::find(seen, row.name) != seen.end()) continue;
    seen.push_back(row.name);
    std::vector<std::string> cells{row.title, row.group};
    for (const std::string& kind : results.kinds()) {
      cells.push_back(text_of(accuracy_of(results, row.name, kind), "%.1f"));
      cells.push_back(row.name == kBase ? "" : text_of(distance_of(results, row.name, kind), "%+.1f"));
    }
    table.rows.push_back(std::move(cells));
  }
  // Without another row than DEHVF's there is nothing to compare.
  if (std::ranges::none_of(results.rows,
                           [](const RunRow& row) { return !row.group.empty() && row.name != kBase; }))
    table.rows.clear();
  return table;
}

}  // namespace dehvf::cli
