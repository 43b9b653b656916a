#include "cli/progress.h"

#include <cstdio>

#include <unistd.h>

#include "core/error.h"

namespace dehvf::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration span) { return std::chrono::duration<double>(span).count(); }

}  // namespace

Progress::Progress(bool quiet)
    : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) != 0), begin_(Clock::now()) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (line_open_) std::fputs("\r\033[K", stderr);
  line_open_ = false;
}

void Progress::phase(const std::string& name, int64_t steps) {
  phase_ = name;
  steps_ = steps;
  begin_ = Clock::now();
  shown_ = begin_;
}

void Progress::step(int64_t done, const std::string& text) {
  const auto now = Clock::now();
  if (quiet_ || (done < steps_ && seconds(now - shown_) < (terminal_ ? 0.2 : 5.0))) return;
  shown_ = now;
  const double elapsed = seconds(now - begin_),
               left = done > 0 ? elapsed / double(done) * double(steps_ - done) : 0;
  const std::string line =
      concat(phase_, "  ", done, "/", steps_, "  ", text, "  ", int(left + 0.5), " s left");
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    line_open_ = done < steps_;
    if (!line_open_) std::fputs("\r\033[K", stderr);
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

void Progress::note(const std::string& text) {
  if (quiet_) return;
  clear();
  std::fprintf(stderr, "%s\n", text.c_str());
}

}  // namespace dehvf::cli
