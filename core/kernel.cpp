#include "core/kernel.h"

#include <algorithm>

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
  next_flops_ = 0;
}

void Trace::add_flops(std::string_view kernel, double flops) {
  if (depth_ > 0) return;
  lines[std::string(kernel)].flops += flops;
  next_flops_ += flops;
}

void Trace::add_product(std::string_view kernel, const Product& product) {
  if (depth_ == 0) products.push_back(product);
  add_flops(kernel, 2.0 * double(product.batch) * double(product.m) * double(product.n) * double(product.k));
}

void Trace::add_planned(std::string_view kernel, double bytes, int launches) {
  ++lines[std::string(kernel)].calls;
  planned.push_back({kernel, Phase::path(), std::exchange(next_flops_, 0), bytes, launches});
}

void ByteCount::add(const Tensor& tensor) {
  if (!tensor.defined()) return;
  const std::pair<const void*, size_t> place{tensor.raw(), tensor.bytes()};
  if (std::ranges::find(seen_, place) != seen_.end()) return;
  seen_.push_back(place);
  bytes_ += double(tensor.bytes());
}

KernelScope::KernelScope(std::string_view kernel)
    : kernel_(kernel), range_(kernel), trace_(Trace::current()) {
  if (!trace_) return;
  ++trace_->depth_;
  before_ = std::exchange(trace_->within_, 0);
  begin_ = std::chrono::steady_clock::now();
}

KernelScope::~KernelScope() {
  if (!trace_) return;
  const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  trace_->add(kernel_, whole - std::exchange(trace_->within_, before_ + whole));
  --trace_->depth_;
}

}  // namespace dehvf
