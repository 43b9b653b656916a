// Keeps freed pinned host memory for the next request of its size class, because pinning is slow.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace dehvf::cuda {

/// `take` returns new memory or null, `give` takes it back. Blocks in use must come back before the pool
/// ends.
class PinnedPool {
 public:
  using Take = void* (*)(size_t bytes);
  using Give = void (*)(void* data);

  PinnedPool(Take take, Give give) : take_(take), give_(give) {}
  ~PinnedPool() { release_idle(); }
  PinnedPool(const PinnedPool&) = delete;
  PinnedPool& operator=(const PinnedPool&) = delete;

  /// What a request occupies: at least a page, else at most an eighth more, so that sizes are few.
  static size_t size_class(size_t bytes) {
    const size_t step = std::max<size_t>(std::bit_floor(bytes) / 8, 4096);
    return std::max(step, (bytes + step - 1) / step * step);
  }

  /// Null when there is no memory, not even after giving all idle blocks back.
  void* allocate(size_t bytes) {
    const std::scoped_lock lock(mutex_);
    auto& idle = idle_[size_class(bytes)];
    if (!idle.empty()) {
      void* const data = idle.back();
      idle.pop_back();
      return data;
    }
    if (void* const data = take_(size_class(bytes))) return data;
    release_idle();
    return take_(size_class(bytes));
  }

  void free(void* data, size_t bytes) noexcept {
    const std::scoped_lock lock(mutex_);
    try {
      idle_[size_class(bytes)].push_back(data);
    } catch (const std::bad_alloc&) {
      give_(data);
    }
  }

 private:
  void release_idle() {
    for (auto& [size, blocks] : idle_) {
      for (void* block : blocks) give_(block);
      blocks.clear();
    }
  }

  Take take_;
  Give give_;
  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> idle_;
};

}  // namespace dehvf::cuda
