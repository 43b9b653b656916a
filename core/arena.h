// The memory of recorded work: blocks cut from large chunks and cut anew once they are freed, in the order in
// which the host asks for them, which is the order of the work itself.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>

namespace dehvf {

class Arena {
 public:
  /// `take` returns a new chunk or throws, `give` takes one back.
  using Take = std::function<void*(size_t bytes)>;
  using Give = std::function<void(void* data, size_t bytes)>;
  Arena(Take take, Give give) : take_(std::move(take)), give_(std::move(give)) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void* allocate(size_t bytes);    // aligned to 256: the smallest free block that fits, or a new chunk's
  bool free(void* data) noexcept;  // false: not from here
  /// All chunks go back when no hold and no block in use is left. Holds must end before the arena.
  std::shared_ptr<void> hold();
  size_t bytes() const;  // of all chunks

 private:
  using Blocks = std::map<std::byte*, size_t>;  // begin -> bytes
  void* cut(std::byte* block, size_t bytes);
  void release_idle() noexcept;

  Take take_;
  Give give_;
  mutable std::mutex mutex_;
  Blocks chunks_, used_, free_;
  std::set<std::pair<size_t, std::byte*>> by_size_;  // the free ones
  int holds_ = 0;
};

}  // namespace dehvf
