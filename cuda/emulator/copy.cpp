#include "cuda/emulator/copy.h"

#include <algorithm>

#include "cuda/emulator/bytes.h"
#include "cuda/emulator/grid_state.h"

namespace dehvf::simt {
namespace {

thread_local std::vector<std::unique_ptr<Copies>> idle_copies;

Copies& copies_of(Thread& thread) {
  if (thread.copies) return *thread.copies;
  if (idle_copies.empty()) return *(thread.copies = std::make_unique<Copies>());
  thread.copies = std::move(idle_copies.back());
  idle_copies.pop_back();
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
  Copies& copies = copies_of(thread);
  const auto copy = [=] {
    move_bytes(shared, global, size_t(valid));
    fill_bytes(static_cast<char*>(shared) + valid, 0, size_t(bytes - valid));
  };
  copies.groups.back().start(site, touches, __builtin_return_address(0), copy, &copies.agent);
}

void close_copies() {
  Copies& copies = copies_of(current());
  if (copies.idle.empty()) copies.idle.emplace_back();
  copies.groups.splice(copies.groups.end(), copies.idle, copies.idle.begin());
}

void wait_for_copies(size_t left) {
  Copies& copies = copies_of(current());
  while (copies.groups.size() > left + 1) {
    copies.groups.front().arrive();
    copies.idle.splice(copies.idle.end(), copies.groups, copies.groups.begin());
  }
}

const Site* forgotten(const Copies& copies) {
  const auto found =
      std::ranges::find_if(copies.groups, [](const Batch& group) { return group.first().has_value(); });
  return found == copies.groups.end() ? nullptr : &*found->first();
}

void reuse_copies(std::unique_ptr<Copies> copies) {
  const auto second = std::next(copies->groups.begin());
  copies->idle.splice(copies->idle.end(), copies->groups, second, copies->groups.end());
  idle_copies.push_back(std::move(copies));
}

}  // namespace dehvf::simt
