// Commands as main() runs them, with what they print.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cli/command.h"

namespace dehvf::cli {

/// Standard output of one command; throws what the command throws. `words` begin with the command's name.
inline std::string run_command(void (*add)(CLI::App&, Action&), std::vector<std::string> words) {
  CLI::App program;
  Action chosen;
  add(program, chosen);
  program.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  testing::internal::CaptureStdout();
  try {
    chosen();
  } catch (...) {
    testing::internal::GetCapturedStdout();
    throw;
  }
  return testing::internal::GetCapturedStdout();
}

}  // namespace dehvf::cli
