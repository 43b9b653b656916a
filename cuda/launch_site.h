// What every launch says about itself, and what it may pass.
#pragma once

#include <source_location>

namespace dehvf::cuda {

struct LaunchOptions {
  unsigned cluster = 1;  // blocks along x that run together and know each other's shared memory, at most 4
  bool early = false;    // may start before the work in front of it has ended; calls grid_dependency_wait
};

/// Names the kernel for error messages, and the line that launches it: {"name"} or {"name", {.cluster = 2}}.
struct LaunchSite {
  LaunchSite(const char* kernel, LaunchOptions options = {},
             std::source_location where = std::source_location::current())
      : kernel(kernel), options(options), where(where) {}
  const char* kernel;
  LaunchOptions options;
  std::source_location where;
};

bool waits_for_kernels();  // DEHVF_SYNC=1: every launch waits, so that a late error names its own kernel

/// What a kernel parameter takes from a launch: its own type or one that converts without loss.
template <class Param, class Arg>
concept PassedAs = requires(Arg arg) {
  Param{arg};
};

}  // namespace dehvf::cuda
