#include <bit>

#include "cuda/emulator/bytes.h"
#include "cuda/emulator/grid_state.h"
#include "cuda/emulator/meet.h"

namespace dehvf::simt {
namespace {

void check(const Thread& thread, const Site& site, uint32_t mask, uint32_t lanes) {
  if (!(mask >> thread.lane & 1))
    fault(thread, concat("wrong mask: ", thread, " is not in its own mask at ", site));
  if (const uint32_t gone = lanes & thread.warp->left)
    fault(thread, concat(thread, " waits at ", site, ", but lane ", std::countr_zero(gone),
                         " of its mask has ended"));
}

// The exchange that the thread joins: the one of the same mask that still misses it, or a new one.
Exchange& joined(const Thread& thread, const Site& site, uint32_t lanes) {
  Warp& warp = *thread.warp;
  for (auto& open : warp.open) {
    if (open->done || open->mask != lanes || open->arrived >> thread.lane & 1) continue;
    if (!(open->site == site))
      fault(thread, concat("divergent collective: ", thread, " is at ", site, ", ", *open->first, " at ",
                           open->site));
    return *open;
  }
  if (warp.idle.empty()) warp.idle.push_back(std::make_unique<Exchange>());
  warp.open.push_back(std::move(warp.idle.back()));
  warp.idle.pop_back();
  Exchange& made = *warp.open.back();
  made.mask = lanes;
  made.arrived = made.taken = 0;
  made.done = false;
  made.site = site;
  made.first = &thread;
  return made;
}

void close(Warp& warp, const Exchange& exchange) {
  for (size_t i = 0; i < warp.open.size(); ++i)
    if (warp.open[i].get() == &exchange) {
      warp.idle.push_back(std::move(warp.open[i]));
      warp.open.erase(warp.open.begin() + ptrdiff_t(i));
      return;
    }
}

}  // namespace

void exchange(const Site& site, uint32_t mask, const Exchanged& values, Combine combine) {
  Thread& thread = current();
  const uint32_t lanes = mask & thread.warp->lanes, self = 1u << thread.lane;
  check(thread, site, mask, lanes);
  Exchange& meeting = joined(thread, site, lanes);
  move_bytes(meeting.in[thread.lane], values.in, values.in_bytes);
  meeting.arrived |= self;
  sanitizer::release(&meeting.token);
  if (meeting.arrived == lanes) {
    sanitizer::acquire(&meeting.token);
    combine(meeting.in, meeting.out, lanes);
    sanitizer::release(&meeting.token);
    meeting.done = true;
  } else {
    wait_until(site, [&] { return meeting.done; });
  }
  sanitizer::acquire(&meeting.token);
  move_bytes(values.out, meeting.out[thread.lane], values.out_bytes);
  meeting.taken |= self;
  if (meeting.taken == lanes) close(*thread.warp, meeting);
}

}  // namespace dehvf::simt
