// Progress of long work: one line that is rewritten on a terminal (without escape codes where NO_COLOR is
// set), a plain line now and then in a pipe.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace dehvf::cli {

class Progress {
 public:
  explicit Progress(bool quiet);  // quiet: nothing at all (--json)
  void phase(const std::string& name, int64_t steps);
  void step(int64_t done, const std::string& text);
  void note(const std::string& text);  // a line that stays
  ~Progress();

 private:
  void clear();
  bool quiet_, terminal_, plain_;  // plain: no escape codes
  std::string phase_;
  int64_t steps_ = 0;
  std::chrono::steady_clock::time_point begin_, shown_;
  size_t width_ = 0;  // of the line that is shown
};

}  // namespace dehvf::cli
