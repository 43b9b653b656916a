// Events that go back to their pool with the last copy of their handle, even one that outlives the backend.
#pragma once

#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "cuda/check.h"

namespace dehvf::cuda {

class EventPool : public std::enable_shared_from_this<EventPool> {
 public:
  EventPool() = default;
  EventPool(const EventPool&) = delete;
  EventPool& operator=(const EventPool&) = delete;
  ~EventPool() {
    for (cudaEvent_t event : idle_) cudaEventDestroy(event);
  }

  /// An event of the current device, without timing.
  std::shared_ptr<void> take() {
    cudaEvent_t event = nullptr;
    {
      const std::scoped_lock lock(mutex_);
      if (!idle_.empty()) {
        event = idle_.back();
        idle_.pop_back();
      }
    }
    if (!event) check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "make an event");
    return {event, [pool = shared_from_this()](void* data) { pool->give(static_cast<cudaEvent_t>(data)); }};
  }

 private:
  void give(cudaEvent_t event) noexcept {
    const std::scoped_lock lock(mutex_);
    try {
      idle_.push_back(event);
    } catch (const std::bad_alloc&) {
      cudaEventDestroy(event);
    }
  }

  std::mutex mutex_;
  std::vector<cudaEvent_t> idle_;
};

}  // namespace dehvf::cuda
