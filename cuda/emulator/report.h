// What is wrong with a kernel, in one line.
#pragma once

#include <ostream>
#include <source_location>
#include <string>

#include "core/error.h"
#include "cuda/emulator/index.h"

namespace dehvf {
inline namespace emulated {

std::ostream& operator<<(std::ostream& out, const uint3& at);  // (1, 0, 0)
std::ostream& operator<<(std::ostream& out, const dim3& size);

}  // namespace emulated
}  // namespace dehvf

namespace dehvf::simt {

/// A kernel did what a GPU would not do, or not the same way twice. The launch that throws it has ended, its
/// results are not to be used.
struct KernelFault : DeviceError {
  using DeviceError::DeviceError;
};

/// A call in a kernel: "__syncthreads, norm.cu:12".
struct Site {
  const char* what;
  std::source_location where;
  static bool same(const char* a, const char* b) { return a == b || std::string_view(a) == b; }
  friend bool operator==(const Site& a, const Site& b) {
    return a.where.line() == b.where.line() && same(a.what, b.what) &&
           same(a.where.file_name(), b.where.file_name());
  }
};

std::string place(const std::source_location& where);  // "norm.cu:12"
std::ostream& operator<<(std::ostream& out, const Site& site);

}  // namespace dehvf::simt
