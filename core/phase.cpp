#include "core/phase.h"

#include <vector>

namespace dehvf {
namespace {

thread_local std::vector<std::string_view> open_phases;

// Provided before main() begins, and asked for at every kernel.
const std::vector<RangeHooks>& hooks() {
  static const std::vector<RangeHooks> all = [] {
    std::vector<RangeHooks> found;
    for (const std::string& key : Registry<RangeHook>::instance().keys())
      found.push_back(Registry<RangeHook>::instance().find(key));
    return found;
  }();
  return all;
}

}  // namespace

Range::Range(std::string_view name) {
  for (const RangeHooks& hook : hooks()) hook.push(name);
}
Range::~Range() {
  for (const RangeHooks& hook : hooks()) hook.pop();
}

Phase::Phase(std::string_view name) : range_(name) { open_phases.push_back(name); }
Phase::~Phase() { open_phases.pop_back(); }

std::string Phase::path() {
  std::string text;
  for (std::string_view name : open_phases) text += concat(text.empty() ? "" : " > ", name);
  return text;
}

}  // namespace dehvf
