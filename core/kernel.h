// run<Tag>(device, args...) starts the kernel of a device; a Trace on the same thread sees every call.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/registry.h"

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

template <class Tag, class... Args>
void run(DeviceKind device, Args&&... args) {
  const auto kernel = Registry<Tag>::instance().find({device});
  Trace* const trace = Trace::current();
  if (!trace) return kernel(std::forward<Args>(args)...);
  const double before = std::exchange(trace->within, 0);
  const auto begin = std::chrono::steady_clock::now();
  kernel(std::forward<Args>(args)...);
  const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  trace->add(Tag::name, whole - std::exchange(trace->within, before + whole));
}

}  // namespace dehvf
