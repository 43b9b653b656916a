#include "cuda/emulator/warpgroup.h"

#include "cuda/emulator/grid_state.h"

namespace dehvf::simt {
namespace {

constexpr unsigned kRegisters = 64 << 10;  // of a multiprocessor

// Warpgroups wait until the sum of all that were asked for is there: more than all is a deadlock.
void check_sum(const Thread& thread, const Site& site) {
  unsigned wanted = 0;
  for (const Warpgroup& group : thread.block->warpgroups)
    if (!group.register_changes.empty()) wanted += kWarpgroup * group.register_changes.back().count;
  if (wanted > kRegisters)
    fault(thread,
          concat(site, ": the warpgroups want ", wanted, " registers, there are ", kRegisters, ", ", thread));
}

}  // namespace

Warpgroup& group_of(const Site& site, const Thread& thread) {
  const size_t index = thread.linear / kWarpgroup;
  if ((index + 1) * kWarpgroup > thread.block->threads.size())
    fault(thread, concat(site, ": wanted a whole warpgroup, but the block ends within it, ", thread));
  return thread.block->warpgroups[index];
}

// For the first thread that is at a call of all.
void demand_all_alive(const Site& site, const Thread& thread) {
  const size_t first = thread.linear / kWarpgroup * kWarpgroup / kLanes;
  for (size_t i = first; i < first + kWarpgroup / kLanes; ++i)
    if (thread.block->warps[i].left)
      fault(thread, concat(thread, " is at ", site, ", but a thread of its warpgroup has ended"));
}

void set_registers(const Site& site, unsigned count) {
  Thread& thread = current();
  if (count < 24 || count > 256 || count % 8 != 0)
    fault(thread, concat(site, ": wanted a multiple of 8 from 24 to 256, found ", count, ", ", thread));
  auto& changes = group_of(site, thread).register_changes;
  const size_t index = thread.register_changes++;
  if (index == changes.size()) {
    demand_all_alive(site, thread);
    changes.push_back({count, site});
    check_sum(thread, site);
  }
  if (changes[index].count != count || !(changes[index].site == site))
    fault(thread,
          concat("divergent warpgroup: ", thread, " is at ", site, ", others at ", changes[index].site));
}

void check_warpgroup_left(const Thread& thread) {
  const auto& changes = thread.block->warpgroups[thread.linear / kWarpgroup].register_changes;
  if (thread.register_changes < changes.size())
    fault(thread, concat(thread, " has ended and was not at ", changes[thread.register_changes].site,
                         " as others of its warpgroup"));
  if (thread.products.waited < thread.products.asked)
    fault(thread, concat(thread, " has ended and did not wait for its wgmma"));
}

}  // namespace dehvf::simt
