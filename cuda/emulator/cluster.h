// Blocks that run together: their barrier, and the shared memory of each other.
#pragma once

#include <memory>
#include <vector>

#include "cuda/emulator/block.h"

namespace dehvf::simt {

/// All threads of all blocks arrive, then wait; in between a thread does what needs no peer.
struct ClusterBarrier {
  unsigned arrived = 0, expected = 0;
  uint32_t phase = 0;
  Site site{};                    // of the first who arrived in this phase
  const Thread* first = nullptr;  // and who that was
  std::array<char, 2> token{};
};

struct Cluster {
  std::vector<std::unique_ptr<Block>> blocks;  // by rank
  unsigned ended = 0;                          // of the blocks
  ClusterBarrier barrier;
};

/// Block `rank` of the running thread's cluster; a KernelFault if there is none or it has ended.
Block& peer(const Site& site, unsigned rank);

/// What lies in the shared memory of `block` where `own` lies in the running thread's.
void* counterpart(const Site& site, const void* own, Block& block);

/// A thread of `thread.block` has ended, or the block as a whole.
void check_left(const Thread& thread);
void check_ended(const Block& block);

}  // namespace dehvf::simt
