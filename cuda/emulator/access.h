// What asynchronous work does to shared memory: which bytes it may read, and which it may overwrite. Only the
// emulator's own files see this.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "cuda/emulator/async.h"

namespace dehvf::simt {

struct Block;
struct Thread;

struct Extent {
  const unsigned char *begin, *end;
  bool meets(const Extent& other) const { return begin < other.end && other.begin < end; }
};
inline Extent extent(const void* data, size_t bytes) {
  const auto* const begin = static_cast<const unsigned char*>(data);
  return {begin, begin + bytes};
}

/// Bytes that work beside the threads reads or writes, until somebody has waited for it.
struct Access {
  Extent bytes;
  Site site;
};

/// A fault when a copy that nobody has waited for writes there, or plain stores without a proxy fence did.
void check_async_read(const Site& site, const Block& block, const Extent& bytes);
/// A fault when work that nobody has waited for reads or writes there.
void check_async_write(const Site& site, const Block& block, const Extent& bytes);

/// A thread's bulk stores that are waited for together. Their bytes are taken when they start, and must still
/// be the same when the thread has waited for their reading.
struct StoreGroup {
  struct Sent {
    Access from;
    std::vector<unsigned char> bytes;
  };
  Batch reads, writes;
  std::vector<std::shared_ptr<const Sent>> sent;  // and not waited for
};
using StoreGroups = std::deque<StoreGroup>;  // oldest first; the last one is not closed yet

void finish_stores(Thread& thread);  // that has ended

}  // namespace dehvf::simt
