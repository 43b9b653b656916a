#include "cuda/emulator/grid_state.h"
#include "cuda/emulator/meet.h"

namespace dehvf::simt {
namespace {

// The first of a phase sets what the others are held against.
void arrive(Barrier& barrier, const Thread& thread, const Site& site, unsigned expected) {
  if (barrier.arrived++ == 0) {
    barrier.site = site;
    barrier.first = &thread;
    barrier.expected = expected;
  }
  sanitizer::release(&barrier.token[barrier.phase & 1]);
}

void complete(Barrier& barrier) {
  barrier.result[barrier.phase & 1] = barrier.votes;
  barrier.arrived = barrier.votes = 0;
  ++barrier.phase;
}

Barrier& named(const Thread& thread, const Site& site, int id, unsigned threads) {
  if (id < 1 || id > 15) fault(thread, concat(site, ": wanted barrier 1 to 15, found ", id));
  if (threads == 0 || threads % kLanes != 0 || threads > thread.block->threads.size())
    fault(thread, concat(site, ": wanted a multiple of 32 threads, at most the ",
                         thread.block->threads.size(), " of the block, found ", threads));
  Barrier& barrier = thread.block->barriers[id];
  if (barrier.arrived > 0 && barrier.expected != threads)
    fault(thread, concat("barrier ", id, ": ", thread, " wants ", threads, " threads at ", site, ", ",
                         *barrier.first, " wants ", barrier.expected, " at ", barrier.site));
  return barrier;
}

void wait_for_phase(Barrier& barrier, const Site& site) {
  const uint32_t phase = barrier.phase;
  if (barrier.arrived == barrier.expected)
    complete(barrier);
  else
    wait_until(site, [&] { return barrier.phase != phase; });
  sanitizer::acquire(&barrier.token[phase & 1]);
}

}  // namespace

unsigned block_barrier(const Site& site, bool vote) {
  Thread& thread = current();
  Block& block = *thread.block;
  Barrier& barrier = block.barriers[0];
  const uint32_t phase = barrier.phase;
  if (block.left > 0)
    fault(thread, concat(thread, " waits at ", site, ", but ", block.left, " threads have ended"));
  if (barrier.arrived > 0 && !(barrier.site == site))
    fault(thread,
          concat("divergent barrier: ", thread, " is at ", site, ", ", *barrier.first, " at ", barrier.site));
  arrive(barrier, thread, site, unsigned(block.threads.size()));
  barrier.votes += vote;
  wait_for_phase(barrier, site);
  return barrier.result[phase & 1];
}

void named_barrier_sync(const Site& site, int id, unsigned threads) {
  Thread& thread = current();
  Barrier& barrier = named(thread, site, id, threads);
  arrive(barrier, thread, site, threads);
  wait_for_phase(barrier, site);
}

void named_barrier_arrive(const Site& site, int id, unsigned threads) {
  Thread& thread = current();
  Barrier& barrier = named(thread, site, id, threads);
  arrive(barrier, thread, site, threads);
  if (barrier.arrived == barrier.expected) complete(barrier);
}

void fence() {
  sanitizer::release(&current().grid->fence_token);
  sanitizer::acquire(&current().grid->fence_token);
}

void poll(const Site& site) { suspend_until({site}); }
void progressed() { ++current().grid->progress; }

unsigned lane() { return current().lane; }

void demand(bool ok, const Site& site, const char* what) {
  if (!ok) fault(current(), concat(site, ": ", what));
}

void* shared_of(const void* key, size_t bytes, size_t alignment, std::source_location where) {
  Thread& thread = current();
  void* const memory = thread.block->arena.of(key, bytes, alignment, where);
  if (!memory)
    fault(thread, concat("shared memory of ", place(where), ", ", bytes, " bytes: a block has at most ",
                         kStaticShared, " without its dynamic ones"));
  return memory;
}

void* dynamic_shared() { return current().block->arena.dynamic(); }

}  // namespace dehvf::simt
