// What every launch says about itself, and what it may pass.
#pragma once

#include <source_location>

namespace dehvf::cuda {

/// Names the kernel for error messages, and the line that launches it.
struct LaunchSite {
  LaunchSite(const char* kernel, std::source_location where = std::source_location::current())
      : kernel(kernel), where(where) {}
  const char* kernel;
  std::source_location where;
};

/// What a kernel parameter takes from a launch: its own type or one that converts without loss.
template <class Param, class Arg>
concept PassedAs = requires(Arg arg) {
  Param{arg};
};

}  // namespace dehvf::cuda
