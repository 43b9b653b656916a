// The shared memory of one block: allocations with gaps between them, of which every byte is guarded.
#pragma once

#include <memory>
#include <vector>

#include "cuda/emulator/report.h"

namespace dehvf::simt {

inline constexpr size_t kDynamicShared = 227 << 10, kStaticShared = 48 << 10;  // the most a block can have
inline constexpr unsigned char kUnset = 0xff;                                  // as floats of any width: NaN

class Arena {
 public:
  Arena();
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void reset(size_t dynamic_bytes);  // everything is NaN again
  void* dynamic() const { return regions_.front().data; }

  /// The one allocation of this block that belongs to `key`, made by the first who asks; null when the block
  /// has no more.
  void* of(const void* key, size_t bytes, size_t alignment, std::source_location where);

  uint32_t address(const void* data) const;  // as PTX counts, from the beginning of shared memory
  unsigned char* at(uint32_t address) const { return bytes_ + address; }

  bool holds(const void* data, size_t bytes) const;  // within one allocation

  /// Where `other` has what lies at `own` here, null when that is in no allocation.
  void* counterpart(const void* own, Arena& other) const;

  /// What asynchronous work sees. Its own writes, and, behind a fence, those of threads, are published;
  /// others are found by comparing.
  void publish();
  void publish(const void* data, size_t bytes);
  bool published(const void* data, size_t bytes) const;

  void retire();  // of a block that has ended, while others run that knew its address

  /// "3 bytes behind the shared memory of norm.cu:12 (64 bytes)" or empty; looks at all gaps.
  std::string damage() const;

 private:
  struct Region {
    const void* key;
    unsigned char* data;
    size_t bytes, alignment;
    Site site;
  };
  void append(const void* key, size_t bytes, size_t alignment, Site site);

  static constexpr size_t kCapacity = size_t(384) << 10;  // limits of a block, gaps and alignment
  unsigned char* seen(
      const void* data) const;  // the published copy of what lies there, made by the first who asks

  unsigned char* const bytes_;
  mutable std::unique_ptr<unsigned char[]> seen_;
  size_t used_ = 0;
  size_t static_bytes_ = 0;
  std::vector<Region> regions_;
};

}  // namespace dehvf::simt
