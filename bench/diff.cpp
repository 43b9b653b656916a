#include "bench/diff.h"

#include <map>

#include "core/error.h"

namespace dehvf {
namespace {

struct Row {
  double median, low, high;
};

std::map<std::string, Row> rows_of(const Json& result, std::string_view what) {
  const std::string kind = result.is_object() ? result.value("what", "") : "";
  require<IoError>((kind == "kernels" || kind == "step") && result.contains(kind), what,
                   ": wanted a result of `dehvf bench kernels` or of `dehvf bench step`");
  std::map<std::string, Row> rows;
  for (const Json& row : result[kind]) {
    if (row.contains("failed")) continue;
    require<IoError>(
        json_get<int64_t>(row, "rounds", what) >= 3, what,
        ": measured in fewer than 3 rounds, as --quick and --shape tiny do; that says nothing about speed");
    const auto text = [&](const char* key) { return json_get<std::string>(row, key, what); };
    const auto number = [&](const char* key) { return json_get<double>(row, key, what); };
    const std::string variant = text("variant");
    rows[concat(text("slot"), variant.empty() ? "" : "/", variant, ' ', text("shape"))] = {
        number("us"), number("low_us"), number("high_us")};
  }
  return rows;
}

}  // namespace

std::vector<BenchChange> bench_diff(const Json& before, const Json& after) {
  const auto old_rows = rows_of(before, "before"), new_rows = rows_of(after, "after");
  std::vector<BenchChange> changes;
  for (const auto& [what, was] : old_rows) {
    const auto found = new_rows.find(what);
    if (found == new_rows.end()) continue;
    const Row& is = found->second;
    const auto verdict = is.high < was.low   ? BenchChange::faster
                         : is.low > was.high ? BenchChange::slower
                                             : BenchChange::same;
    changes.push_back({what, was.median, is.median, verdict});
  }
  return changes;
}

}  // namespace dehvf
