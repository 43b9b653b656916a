#include "core/kernel.h"

namespace dehvf {
namespace {
thread_local Trace* current_trace = nullptr;
}

Trace::Trace() : outer_(current_trace) { current_trace = this; }
Trace::~Trace() { current_trace = outer_; }
Trace* Trace::current() { return current_trace; }

void Trace::add(std::string_view kernel, double seconds) {
  auto& line = lines[std::string(kernel)];
  ++line.calls;
  line.seconds += seconds;
}

void Trace::add_product(std::string_view kernel, const Product& product) {
  products.push_back(product);
  lines[std::string(kernel)].flops +=
      2.0 * double(product.batch) * double(product.m) * double(product.n) * double(product.k);
}

KernelScope::KernelScope(std::string_view kernel)
    : kernel_(kernel), range_(kernel), trace_(Trace::current()) {
  if (!trace_) return;
  before_ = std::exchange(trace_->within, 0);
  begin_ = std::chrono::steady_clock::now();
}

KernelScope::~KernelScope() {
  if (!trace_) return;
  const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  trace_->add(kernel_, whole - std::exchange(trace_->within, before_ + whole));
}

}  // namespace dehvf
