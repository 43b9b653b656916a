// Barriers in shared memory that count arrivals of threads and bytes of asynchronous copies.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>

#include "cuda/emulator/access.h"

namespace dehvf::simt {

struct Block;

/// The state of one; the 8 bytes in shared memory hold only a mark by which an overwritten one is seen.
struct Mbarrier {
  bool valid = false;
  bool fenced = false;  // its beginning is known to the async proxy and to other blocks
  uint32_t expected = 0, pending = 0;
  int64_t transactions = 0;  // bytes that are announced and have not arrived
  int64_t held = 0;          // bytes of them that a late delivery keeps back
  uint32_t phase = 0;
  std::array<Batch, 2> copies;                    // by the parity of the phase
  std::array<std::vector<Access>, 2> unobserved;  // copies of a phase for which nobody has waited
  std::array<char, 2> token{};
  sanitizer::Context messenger;  // between the async work of peers and this
  ~Mbarrier() { sanitizer::dismiss(messenger); }
};

void mbarrier_init(const Site& site, uint64_t* barrier, unsigned arrivals);
void mbarrier_invalidate(const Site& site, uint64_t* barrier);
void proxy_fence();     // what threads have stored in the block's shared memory is seen by asynchronous work
void mbarrier_fence();  // of all of the block's barriers: see Mbarrier::fenced

/// Announces `bytes`, then arrives `arrivals` times.
void mbarrier_arrive(const Site& site, uint64_t* barrier, unsigned arrivals, unsigned bytes);
void mbarrier_arrive_remote(const Site& site, uint64_t* barrier, unsigned rank);

bool mbarrier_try_wait(const Site& site, uint64_t* barrier, unsigned parity);
void mbarrier_wait(const Site& site, uint64_t* barrier, unsigned parity);

/// A copy into `block` that the running thread starts; its `bytes` arrive at the block's barrier.
struct Transfer {
  Block& block;
  uint64_t* barrier;
  unsigned bytes;
  std::span<const Touch> touches;  // the first one is what it writes
  const void* code;                // as Batch::start
  std::function<void()> work;
};
void mbarrier_transfer(const Site& site, const Transfer& transfer);

const Site* unobserved(const Block& block);  // a copy that is under way, or null

}  // namespace dehvf::simt
