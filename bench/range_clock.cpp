#include "bench/range_clock.h"

#include "core/backend.h"
#include "core/phase.h"
#include "core/variants.h"

namespace dehvf {
namespace {

thread_local RangeClock* current_clock = nullptr;

const Provide<RangeHook> clock_hook{"clock",
                                    {[](std::string_view name) {
                                       if (RangeClock* clock = RangeClock::current()) clock->push(name);
                                     },
                                     [] {
                                       if (RangeClock* clock = RangeClock::current()) clock->pop();
                                     }}};

}  // namespace

RangeClock::RangeClock(Device device) : device_(device) {
  require<Error>(current_clock == nullptr, "range clock: one runs already");
  current_clock = this;
}

RangeClock::~RangeClock() { current_clock = nullptr; }

RangeClock* RangeClock::current() { return current_clock; }

double RangeClock::now() const {
  backend(device_).synchronize(current_stream(device_));
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void RangeClock::push(std::string_view name) {
  places_.push_back(places_.empty() ? std::string(name) : concat(places_.back(), " > ", name));
  if (kernel_ || !kernel_slots().contains(std::string(name))) return;
  kernel_ = places_.size();
  begin_ = now();
}

void RangeClock::pop() {
  if (places_.empty()) return;  // opened before the clock
  if (kernel_ == places_.size()) {
    seconds_[places_.back()] += now() - begin_;
    kernel_ = 0;
  }
  places_.pop_back();
}

}  // namespace dehvf
