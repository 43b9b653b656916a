#include "cuda/emulator/copy.h"

#include <algorithm>

#include "cuda/emulator/bytes.h"
#include "cuda/emulator/grid_state.h"

namespace dehvf::simt {
namespace {

CopyGroups& groups_of(Thread& thread) {
  if (!thread.copies) thread.copies = std::make_unique<CopyGroups>(1);
  return *thread.copies;
}

void check(const Thread& thread, const Site& site, const void* global, int bytes, int valid) {
  if (valid < 0 || valid > bytes)
    fault(thread, concat(site, ": wanted 0 to ", bytes, " bytes, found ", valid, ", ", thread));
  if (reinterpret_cast<uintptr_t>(global) % size_t(bytes) != 0)
    fault(thread,
          concat(site, ": an address in global memory that is not a multiple of ", bytes, ", ", thread));
  if (valid > 0 && thread.block->arena.holds(global, 1))
    fault(thread, concat(site, ": the source is in shared memory, ", thread));
}

}  // namespace

void copy_async(const Site& site, void* shared, const void* global, int bytes, int valid) {
  Thread& thread = current();
  demand_shared(site, shared, size_t(bytes), size_t(bytes));
  check(thread, site, global, bytes, valid);
  const Touch touches[] = {{shared, size_t(bytes), true}, {const_cast<void*>(global), size_t(valid), false}};
  groups_of(thread).back().start(site, touches, __builtin_return_address(0), [=] {
    move_bytes(shared, global, size_t(valid));
    fill_bytes(static_cast<char*>(shared) + valid, 0, size_t(bytes - valid));
  });
}

void close_copies() { groups_of(current()).emplace_back(); }

void wait_for_copies(size_t left) {
  CopyGroups& groups = groups_of(current());
  for (; groups.size() > left + 1; groups.pop_front()) groups.front().arrive();
}

const Site* forgotten(const CopyGroups& groups) {
  const auto found =
      std::ranges::find_if(groups, [](const Batch& group) { return group.first().has_value(); });
  return found == groups.end() ? nullptr : &*found->first();
}

}  // namespace dehvf::simt
