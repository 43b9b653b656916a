#include "cuda/emulator/cluster.h"

#include "cuda/emulator/grid_state.h"
#include "cuda/emulator/peers.h"

namespace dehvf::simt {
namespace {

unsigned threads_that_ended(const Cluster& cluster) {
  unsigned ended = 0;
  for (const auto& block : cluster.blocks) ended += block->left;
  return ended;
}

}  // namespace

Block& peer(const Site& site, unsigned rank) {
  const Thread& thread = current();
  const auto& blocks = thread.block->cluster->blocks;
  if (rank >= blocks.size())
    fault(thread, concat(site, ": wanted a rank below ", blocks.size(), ", found ", rank, ", ", thread));
  Block& block = *blocks[rank];
  if (block.ended)
    fault(thread, concat(site, ": block ", block.index, " has ended, its shared memory is gone, ", thread));
  return block;
}

void* counterpart(const Site& site, const void* own, Block& block) {
  const Thread& thread = current();
  void* const theirs = thread.block->arena.counterpart(own, block.arena);
  if (!theirs) fault(thread, concat(site, ": an address that is not in the block's shared memory, ", thread));
  return theirs;
}

unsigned cluster_rank() { return current().block->rank; }
unsigned cluster_size() { return unsigned(current().block->cluster->blocks.size()); }

void* cluster_map(const Site& site, const void* own, unsigned rank) {
  Block& block = peer(site, rank);
  Block& self = *current().block;
  if (&block != &self) block.mapped_by[self.rank] = site;
  return counterpart(site, own, block);
}

void cluster_arrive(const Site& site) {
  Thread& thread = current();
  Cluster& cluster = *thread.block->cluster;
  ClusterBarrier& barrier = cluster.barrier;
  if (thread.arrived_in_cluster) fault(thread, concat(site, ": ", thread, " arrives twice without a wait"));
  if (const unsigned ended = threads_that_ended(cluster))
    fault(thread,
          concat(thread, " arrives at ", site, ", but ", ended, " threads of the cluster have ended"));
  thread.arrived_in_cluster = true;
  thread.cluster_phase = barrier.phase;
  if (barrier.arrived++ == 0) {
    barrier.site = site;
    barrier.first = &thread;
  }
  sanitizer::release(&barrier.token[barrier.phase & 1]);
  if (barrier.arrived < barrier.expected) return;
  barrier.arrived = 0;
  ++barrier.phase;
  for (auto& block : cluster.blocks) block->mapped_by = {};
  progressed();
}

void cluster_wait(const Site& site) {
  Thread& thread = current();
  const ClusterBarrier& barrier = thread.block->cluster->barrier;
  if (!thread.arrived_in_cluster) fault(thread, concat(site, ": ", thread, " waits and has not arrived"));
  wait_until(site, [&] { return barrier.phase != thread.cluster_phase; });
  thread.arrived_in_cluster = false;
  sanitizer::acquire(const_cast<char*>(&barrier.token[thread.cluster_phase & 1]));
}

void check_left(const Thread& thread) {
  const ClusterBarrier& barrier = thread.block->cluster->barrier;
  if (thread.arrived_in_cluster)
    fault(thread, concat(thread, " has ended between its cluster_arrive and a cluster_wait"));
  if (barrier.arrived > 0)
    fault(thread, concat(thread, " has ended, but ", *barrier.first, " of block ",
                         barrier.first->block->index, " waits for it at ", barrier.site));
}

void check_ended(const Block& block) {
  if (const Site* copy = unobserved(block))
    fault(block.threads.front(), concat("the block has ended and nobody has waited for ", *copy));
  const auto& blocks = block.cluster->blocks;
  for (const auto& other : blocks)
    if (const auto& site = block.mapped_by[other->rank]; site && !other->ended)
      fault(block.threads.front(), concat("the block has ended, but block ", other->index,
                                          " may still use its shared memory, from ", *site));
}

}  // namespace dehvf::simt
