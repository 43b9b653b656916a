// Work done ahead: results of produce(0), produce(1), ... made on other threads and taken in that order.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/error.h"

namespace dehvf {

template <class T>
class Prefetch {
 public:
  /// `workers` threads call `produce` for indices below `count`, at most `depth` results ahead of the one
  /// taken next. With one worker the calls come in order; with more they may run at the same time.
  Prefetch(int64_t count, int depth, int workers, std::function<T(int64_t)> produce)
      : count_(count), produce_(std::move(produce)), slots_(size_t(std::max(depth, 0))) {
    require<Error>(count >= 0 && depth >= 1 && workers >= 1,
                   "prefetch: wanted count >= 0, depth and workers >= 1, ", "found ", count, ", ", depth,
                   " and ", workers);
    for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
  }

  /// Waits for calls that run; results not taken are dropped.
  ~Prefetch() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    room_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  /// The next result, nothing after the last one. Rethrows what produce threw for that index, then at every
  /// call. For one consuming thread.
  std::optional<T> next() {
    std::unique_lock lock(mutex_);
    if (error_) std::rethrow_exception(error_);
    if (taken_ == count_) return std::nullopt;
    Slot& slot = slots_[size_t(taken_) % slots_.size()];
    filled_.wait(lock, [&] { return slot.value || slot.error; });
    if (slot.error) {
      error_ = slot.error;
      stop_ = true;
      room_.notify_all();
      std::rethrow_exception(error_);
    }
    std::optional<T> result = std::move(slot.value);
    slot.value.reset();
    ++taken_;
    room_.notify_one();
    return result;
  }

 private:
  struct Slot {
    std::optional<T> value;
    std::exception_ptr error;
  };

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      room_.wait(lock,
                 [&] { return stop_ || started_ == count_ || started_ < taken_ + int64_t(slots_.size()); });
      if (stop_ || started_ == count_) return;
      const int64_t index = started_++;
      lock.unlock();
      Slot made;
      try {
        made.value.emplace(produce_(index));
      } catch (...) {
        made.error = std::current_exception();
      }
      lock.lock();
      slots_[size_t(index) % slots_.size()] = std::move(made);
      filled_.notify_one();
    }
  }

  const int64_t count_;
  const std::function<T(int64_t)> produce_;
  std::mutex mutex_;
  std::condition_variable room_, filled_;
  std::vector<Slot> slots_;  // result i waits in slot i modulo depth
  int64_t started_ = 0, taken_ = 0;
  std::exception_ptr error_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace dehvf
