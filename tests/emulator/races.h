// Races planted in kernels, for builds with ThreadSanitizer.
#pragma once

#include <functional>

#include <gtest/gtest.h>

#include "cuda/emulator/sanitizer.h"

namespace dehvf {

inline bool races_are_seen() { return simt::sanitizer::name() == "thread"; }

/// The race detector reports and goes on: in a process of its own, so that this one has no race.
inline void expect_race(const std::function<void()>& call) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a fork does not look for races
  EXPECT_EXIT(
      {
        call();
        std::_Exit(0);
      },
      [](int) { return true; }, "ThreadSanitizer: data race.*_test.cpp");
}

}  // namespace dehvf
