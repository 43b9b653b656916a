#include "cuda/emulator/arena.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "cuda/emulator/bytes.h"
#include "cuda/emulator/sanitizer.h"

namespace dehvf::simt {
namespace {

constexpr size_t kGap = 128, kDynamicAlignment = 1024;
constexpr unsigned char kGuard = 0xfb;  // NaN as well, but nothing that a kernel stores by itself

}  // namespace

Arena::Arena() : bytes_(static_cast<unsigned char*>(std::aligned_alloc(kDynamicAlignment, kCapacity))) {
  require<DeviceError>(bytes_ != nullptr, "emulator: no memory for the shared memory of a block");
  used_ = kCapacity;
  regions_.reserve(64);
}

Arena::~Arena() {
  sanitizer::unpoison(bytes_, kCapacity);
  std::free(bytes_);
}

void Arena::reset(size_t dynamic_bytes) {
  sanitizer::unpoison(bytes_, kCapacity);
  std::memset(bytes_, kGuard, used_);
  sanitizer::poison(bytes_, kCapacity);
  used_ = static_bytes_ = 0;
  regions_.clear();
  seen_.reset();
  append(nullptr, dynamic_bytes, kDynamicAlignment, {"dynamic", std::source_location()});
}

void Arena::append(const void* key, size_t bytes, size_t alignment, Site site) {
  const size_t begin = (used_ + kGap + alignment - 1) / alignment * alignment;
  unsigned char* const data = bytes_ + begin;
  sanitizer::unpoison(data, bytes);
  fill_bytes(data, kUnset, bytes);
  regions_.push_back({key, data, bytes, alignment, site});
  used_ = begin + bytes + kGap;
}

void* Arena::of(const void* key, size_t bytes, size_t alignment, std::source_location where) {
  for (const Region& region : regions_)
    if (region.key == key) return region.data;
  if (static_bytes_ + bytes > kStaticShared) return nullptr;
  static_bytes_ += bytes;
  append(key, bytes, alignment, {"shared", where});
  return regions_.back().data;
}

uint32_t Arena::address(const void* data) const {
  return uint32_t(static_cast<const unsigned char*>(data) - bytes_);
}

bool Arena::holds(const void* data, size_t bytes) const {
  const auto at = reinterpret_cast<uintptr_t>(data);
  return std::ranges::any_of(regions_, [&](const Region& region) {
    const auto begin = reinterpret_cast<uintptr_t>(region.data);
    return at >= begin && at - begin + bytes <= region.bytes;
  });
}

void* Arena::counterpart(const void* own, Arena& other) const {
  const auto at = reinterpret_cast<uintptr_t>(own);
  for (const Region& region : regions_) {
    const size_t offset = at - reinterpret_cast<uintptr_t>(region.data);
    if (offset >= region.bytes) continue;
    auto* const theirs =
        static_cast<char*>(other.of(region.key, region.bytes, region.alignment, region.site.where));
    return theirs ? theirs + offset : nullptr;
  }
  return nullptr;
}

unsigned char* Arena::seen(const void* data) const {
  if (!seen_) {
    seen_ = std::make_unique_for_overwrite<unsigned char[]>(kCapacity);
    fill_bytes(seen_.get(), kUnset, kCapacity);
  }
  return seen_.get() + (static_cast<const unsigned char*>(data) - bytes_);
}

void Arena::publish() {
  for (const Region& region : regions_) publish(region.data, region.bytes);
}

void Arena::publish(const void* data, size_t bytes) { move_bytes(seen(data), data, bytes); }

bool Arena::published(const void* data, size_t bytes) const { return same_bytes(data, seen(data), bytes); }

void Arena::retire() {
  fill_bytes(bytes_, kGuard, used_);
  sanitizer::poison(bytes_, kCapacity);
  regions_.clear();
}

std::string Arena::damage() const {
  sanitizer::unpoison(bytes_, used_);
  size_t gap = 0;  // where the gap in front of the region begins
  const auto written = [&](size_t begin, size_t end) {
    return size_t(std::find_if(bytes_ + begin, bytes_ + end, [](unsigned char b) { return b != kGuard; }) -
                  bytes_);
  };
  if (regions_.empty())
    return written(0, used_) < used_ ? "shared memory was written after its block had ended" : "";
  for (size_t i = 0; i <= regions_.size(); ++i) {
    const size_t end = i < regions_.size() ? size_t(regions_[i].data - bytes_) : used_;
    if (const size_t at = written(gap, end); at < end) {
      const bool behind = i > 0;
      const Region& region = regions_[behind ? i - 1 : 0];
      const size_t distance = behind ? at - gap : end - at;
      return region.key ? concat("byte ", distance, behind ? " behind" : " before", " the ", region.bytes,
                                 " bytes of shared memory of ", place(region.site.where), " was written")
                        : concat("byte ", distance, behind ? " behind" : " before", " the ", region.bytes,
                                 " bytes of dynamic shared memory was written");
    }
    if (i < regions_.size()) gap = end + regions_[i].bytes;
  }
  return {};
}

}  // namespace dehvf::simt
