// run<Tag>(device, args...) starts the kernel of a device, or notes it where that is the plan; a Trace on the
// same thread sees every call.
#pragma once

#include <chrono>
#include <map>
#include <ranges>
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
/// sum is the time spent in kernels, on the CPU. FLOPs and products are those that ops ask for (attention,
/// visual rows, fuser and loss among them), 2 for a multiplication and its addition, not what a kernel makes
/// of them; where only the device knows how long spans are, they are left out.
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
  struct Call {
    std::string_view kernel;
    std::string place;    // Phase::path()
    double flops, bytes;  // bytes: every tensor that it was given, once
    int launches;         // that it is on a GPU
  };

  Trace();
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;
  static Trace* current();

  void add(std::string_view kernel, double seconds);
  /// Of the kernel that is run next.
  void add_flops(std::string_view kernel, double flops);
  void add_product(std::string_view kernel, const Product& product);
  void add_planned(std::string_view kernel, double bytes, int launches);

  std::map<std::string, Line, std::less<>> lines;
  std::vector<Product> products;
  std::vector<Call> planned;  // calls on the plan, in order
  int64_t launches = 0;       // of the GPU's own kernels, or the emulator's

 private:
  friend class KernelScope;
  int depth_ = 0;      // kernels that run
  double within_ = 0;  // seconds of the kernels called by the one that runs
  Trace* outer_;
  double next_flops_ = 0;
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

/// Adds up the bytes of tensors, each once.
class ByteCount {
 public:
  void add(const Tensor& tensor);
  template <class T>
  void add(const T& argument) {
    if constexpr (requires { argument.tensors(); })
      for (const Tensor& tensor : argument.tensors()) add(tensor);
    else if constexpr (std::ranges::range<T>)
      for (const auto& part : argument) add(part);
  }
  double bytes() const { return bytes_; }

 private:
  std::vector<std::pair<const void*, size_t>> seen_;
  double bytes_ = 0;
};

/// How many launches an op is on a GPU: what its tag says, else one.
template <class Tag>
constexpr int launches_of() {
  if constexpr (requires { Tag::launches; })
    return Tag::launches;
  else
    return 1;
}

/// Whether a device has a kernel of this name, whatever it takes.
template <class Tag>
bool has_kernel(DeviceKind device) {
  return device == DeviceKind::plan ||
         std::ranges::any_of(Registry<Tag>::instance().keys(),
                             [&](const auto& key) { return key.device == device; });
}

template <class Tag, class... Args>
void run(DeviceKind device, Args&&... args) {
  if (device == DeviceKind::plan) {
    Trace* const trace = Trace::current();
    if (!trace) return;
    ByteCount count;
    (count.add(args), ...);
    trace->add_planned(Tag::name, count.bytes(), launches_of<Tag>());
    return;
  }
  const auto& kernel = Variants<Tag>::choose(device, args...);
  {
    const KernelScope scope(Tag::name);
    kernel(args...);
  }
  if (const NanWatch* watch = NanWatch::current()) watch_for_nan<Tag>(*watch, args...);
}

}  // namespace dehvf
