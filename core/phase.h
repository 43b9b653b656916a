// Where in a run a thread is: names of nested scopes, for error messages and for a profiler's ranges.
#pragma once

#include <string>
#include <string_view>

#include "core/registry.h"

namespace dehvf {

/// What shows ranges: all that are provided, under any name, see the phases and kernels of all threads.
struct RangeHooks {
  void (*push)(std::string_view name);
  void (*pop)();
};
struct RangeHook {
  using Key = std::string;
  using Entry = RangeHooks;
  static constexpr std::string_view name = "range hook";
};

class Range {
 public:
  explicit Range(std::string_view name);
  ~Range();
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

/// A range that also counts as a place of this thread. `name` must outlive it.
class Phase {
 public:
  explicit Phase(std::string_view name);
  ~Phase();
  Phase(const Phase&) = delete;
  Phase& operator=(const Phase&) = delete;
  static std::string path();  // "backward > llama_block 3"; empty outside

 private:
  Range range_;
};

}  // namespace dehvf
