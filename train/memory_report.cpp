#include "train/memory_report.h"

#include <numeric>

namespace dehvf {

size_t sum_of(const MemoryLedger::Table& table) {
  return std::accumulate(table.begin(), table.end(), size_t(0));
}

Json by_purpose(const MemoryLedger::Table& table) {
  Json json = Json::object();
  for (size_t i = 0; i < table.size(); ++i) json[name_of(Purpose(i))] = table[i];
  return json;
}

double percent_more(double measured, double forecast) { return 100 * (measured / forecast - 1); }

}  // namespace dehvf
