// Progress lines: rewritten on a terminal only, without escape codes in pipes and under NO_COLOR.
#include "cli/progress.h"

#include <cstdlib>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

namespace dehvf::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

void work(bool quiet) {
  Progress progress(quiet);
  progress.phase("work", 100);
  progress.step(100, "loss 1");
  progress.note("kept");
}

std::string in_a_pipe(bool quiet) {
  testing::internal::CaptureStderr();
  work(quiet);
  return testing::internal::GetCapturedStderr();
}

// Negative where the machine has none to give, as in a container without /dev/pts.
int open_terminal() {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || (::grantpt(terminal) == 0 && ::unlockpt(terminal) == 0)) return terminal;
  ::close(terminal);
  return -1;
}

// What reaches a terminal that stands in for standard error.
std::string on_a_terminal(const char* no_color, const char* kind) {
  ::setenv("NO_COLOR", no_color, 1);
  ::setenv("TERM", kind, 1);
  const int terminal = open_terminal();
  const int line = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY), kept = ::dup(STDERR_FILENO);
  ::dup2(line, STDERR_FILENO);
  {
    Progress progress(false);
    progress.phase("work", 1000000);
    progress.step(1, "first");
    progress.note("kept");
  }
  ::dup2(kept, STDERR_FILENO);
  std::string text;  // which comes in parts
  char part[512];
  for (pollfd ready{terminal, POLLIN, 0}; !text.ends_with("kept\r\n") && ::poll(&ready, 1, 10000) > 0;) {
    const ssize_t count = ::read(terminal, part, sizeof part);
    if (count <= 0) break;
    text.append(part, size_t(count));
  }
  ::close(line), ::close(kept), ::close(terminal);
  return text;
}

TEST(Progress, APipeGetsPlainLines) {
  const std::string text = in_a_pipe(false);
  EXPECT_EQ(text, "work  100/100  loss 1  0 s left\nkept\n");
  EXPECT_EQ(in_a_pipe(true), "");
}

TEST(Progress, ATerminalsLineIsRewritten) {
  const int terminal = open_terminal();
  if (terminal < 0) GTEST_SKIP() << "no pseudo-terminal can be opened here";
  ::close(terminal);
  const std::string text = on_a_terminal("", "xterm");
  EXPECT_THAT(text, StartsWith("work  1/1000000  first  "));
  EXPECT_THAT(text, HasSubstr(" left\r\033[K"));
  EXPECT_THAT(text, EndsWith("kept\r\n"));
  const std::string plain = on_a_terminal("1", "xterm");
  EXPECT_THAT(plain, Not(HasSubstr("\033")));
  EXPECT_THAT(plain, HasSubstr(" left\r   "));
  EXPECT_THAT(on_a_terminal("", "dumb"), "kept\r\n");
}

}  // namespace
}  // namespace dehvf::cli
