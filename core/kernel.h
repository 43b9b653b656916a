// run<Tag>(device, args...) starts the kernel of a device; a Trace on the same thread sees every call.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/memory.h"
#include "core/nan_watch.h"
#include "core/phase.h"
#include "core/variants.h"

namespace dehvf {

/// What kernels ran, how often, how long, and the logical sizes of the products among them, while it is the
/// innermost Trace of its thread. Durations are host times without those of kernels called within, so their
/// sum is the time spent in kernels, on the CPU.
class Trace {
 public:
  struct Line {
    int64_t calls = 0;
    double seconds = 0;
    double flops = 0;
  };
  struct Product {
    int64_t batch, m, n, k;
  };

  Trace();
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;
  static Trace* current();

  void add(std::string_view kernel, double seconds);
  void add_product(std::string_view kernel, const Product& product);

  std::map<std::string, Line, std::less<>> lines;
  std::vector<Product> products;
  double within = 0;  // seconds of the kernels called by the one that runs

 private:
  Trace* outer_;
};

/// What surrounds a running kernel: a range for profilers, its time for the Trace, and what it allocates
/// meanwhile is a workspace.
class KernelScope {
 public:
  explicit KernelScope(std::string_view kernel);
  ~KernelScope();
  KernelScope(const KernelScope&) = delete;
  KernelScope& operator=(const KernelScope&) = delete;

 private:
  std::string_view kernel_;
  Range range_;
  PurposeScope workspace_{Purpose::workspaces};
  Trace* trace_;
  double before_ = 0;
  std::chrono::steady_clock::time_point begin_;
};

/// Shows a kernel's tensors, alone or in a struct that lists them by tensors(), to the watch.
template <class Tag, class... Args>
void watch_for_nan(const NanWatch& watch, const Args&... args) {
  int argument = 0;
  const auto look = [&](const Tensor& tensor) {
    watch.look(
        Tag::name, argument, tensor, requires { Tag::minus_infinity_is_meant; });
  };
  const auto visit = [&](const auto& arg) {
    ++argument;
    if constexpr (std::same_as<decltype(arg), const Tensor&>)
      look(arg);
    else if constexpr (requires { arg.tensors(); })
      for (const Tensor& tensor : arg.tensors()) look(tensor);
  };
  (visit(args), ...);
}

template <class Tag, class... Args>
void run(DeviceKind device, Args&&... args) {
  const auto& kernel = Variants<Tag>::choose(device, args...);
  {
    const KernelScope scope(Tag::name);
    kernel(args...);
  }
  if (const NanWatch* watch = NanWatch::current()) watch_for_nan<Tag>(*watch, args...);
}

}  // namespace dehvf
