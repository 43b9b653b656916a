#include "cli/progress.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include "core/error.h"

namespace dehvf::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration span) { return std::chrono::duration<double>(span).count(); }

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

bool is_terminal() {
  const char* kind = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) != 0 && (kind == nullptr || std::string(kind) != "dumb");
}

std::string time_left(double seconds) {
  const int64_t all = std::llround(seconds);
  if (all < 120) return concat(all, " s left");
  return all < 7200 ? concat((all + 30) / 60, " min left")
                    : concat(all / 3600, " h ", all % 3600 / 60, " min left");
}

}  // namespace

Progress::Progress(bool quiet)
    : quiet_(quiet), terminal_(is_terminal()), plain_(is_set("NO_COLOR")), begin_(Clock::now()) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (width_ > 0)
    std::fputs(plain_ ? concat("\r", std::string(width_, ' '), "\r").c_str() : "\r\033[K", stderr);
  width_ = 0;
}

void Progress::phase(const std::string& name, int64_t steps) {
  phase_ = name;
  steps_ = steps;
  begin_ = Clock::now();
  shown_ = terminal_ ? Clock::time_point{} : begin_;  // the first line of a terminal comes at once
}

void Progress::step(int64_t done, const std::string& text) {
  const auto now = Clock::now();
  if (quiet_ || (done < steps_ && seconds(now - shown_) < (terminal_ ? 0.2 : 5.0))) return;
  shown_ = now;
  const double elapsed = seconds(now - begin_),
               left = done > 0 ? elapsed / double(done) * double(steps_ - done) : 0;
  const std::string line =
      concat(phase_, "  ", done, "/", steps_, "  ", text, text.empty() ? "" : "  ", time_left(left));
  if (terminal_) {
    clear();
    if (done >= steps_) return;
    std::fputs(line.c_str(), stderr);
    width_ = line.size();
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
