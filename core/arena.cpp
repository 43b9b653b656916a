#include "core/arena.h"

#include <algorithm>
#include <iterator>

#include "core/error.h"

namespace dehvf {
namespace {

constexpr size_t kAlignment = 256, kChunk = size_t(8) << 20;

size_t rounded_up(size_t bytes, size_t step) { return (std::max<size_t>(bytes, 1) + step - 1) / step * step; }

}  // namespace

Arena::~Arena() {
  for (const auto& [data, bytes] : chunks_) give_(data, bytes);
}

void* Arena::allocate(size_t bytes) {
  const std::scoped_lock lock(mutex_);
  const size_t wanted = rounded_up(bytes, kAlignment);
  const auto found = by_size_.lower_bound({wanted, nullptr});
  if (found != by_size_.end()) return cut(found->second, wanted);
  const size_t chunk = rounded_up(wanted, kChunk);
  auto* const data = static_cast<std::byte*>(take_(chunk));
  chunks_.emplace(data, chunk);
  by_size_.emplace(chunk, data);
  free_.emplace(data, chunk);
  return cut(data, wanted);
}

void* Arena::cut(std::byte* data, size_t bytes) {
  const size_t size = free_.at(data);
  by_size_.erase({size, data});
  free_.erase(data);
  if (size > bytes) {
    free_.emplace(data + bytes, size - bytes);
    by_size_.emplace(size - bytes, data + bytes);
  }
  used_.emplace(data, bytes);
  return data;
}

bool Arena::free(void* data) noexcept {
  const std::scoped_lock lock(mutex_);
  auto node = used_.extract(static_cast<std::byte*>(data));
  if (node.empty()) return false;
  // Neighbours become one block, unless a chunk begins between them.
  const auto join = [&](Blocks::iterator left, Blocks::iterator right) {
    if (left->first + left->second != right->first || chunks_.contains(right->first)) return false;
    by_size_.erase({left->second, left->first});
    by_size_.erase({right->second, right->first});
    left->second += right->second;
    free_.erase(right);
    return true;
  };
  auto block = free_.insert(std::move(node)).position;
  if (const auto next = std::next(block); next != free_.end()) join(block, next);
  if (block != free_.begin())
    if (const auto before = std::prev(block); join(before, block)) block = before;
  by_size_.emplace(block->second, block->first);
  release_idle();
  return true;
}

std::shared_ptr<void> Arena::hold() {
  const std::scoped_lock lock(mutex_);
  ++holds_;
  return {this, [](Arena* self) {
            const std::scoped_lock lock(self->mutex_);
            --self->holds_;
            self->release_idle();
          }};
}

void Arena::release_idle() noexcept {
  if (holds_ > 0 || !used_.empty()) return;
  for (const auto& [data, bytes] : chunks_) give_(data, bytes);
  chunks_.clear(), free_.clear(), by_size_.clear();
}

size_t Arena::bytes() const {
  const std::scoped_lock lock(mutex_);
  size_t sum = 0;
  for (const auto& [data, bytes] : chunks_) sum += bytes;
  return sum;
}

}  // namespace dehvf
