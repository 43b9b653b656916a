// Where threads of a block meet: barriers, exchanges between the lanes of a warp, fences, polling. What
// device functions are made of; all of it runs uninstrumented.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/emulator/report.h"

namespace dehvf::simt {

/// All threads of the block; how many of them voted. Different calls or lines are a fault.
unsigned block_barrier(const Site& site, bool vote);

/// Barrier 1 to 15 with `threads` participants, whole warps of them. Arriving does not wait.
void named_barrier_sync(const Site& site, int barrier, unsigned threads);
void named_barrier_arrive(const Site& site, int barrier, unsigned threads);

/// What the lanes of `mask` give each other. `combine` is called once, with the slots of all lanes (64 bytes
/// each) and the lanes that take part, and fills the slots of results.
struct Exchanged {
  const void* in;
  size_t in_bytes;
  void* out;
  size_t out_bytes;
};
using Combine = void (*)(const unsigned char (*in)[64], unsigned char (*out)[64], uint32_t lanes);
void exchange(const Site& site, uint32_t mask, const Exchanged& values, Combine combine);

/// Orders memory for the race detector: what a thread did before its fence is seen by those whose fence comes
/// later.
void fence();

/// Lets the others go on. When nobody but polling threads is left, that is a deadlock.
void poll(const Site& site);
void progressed();  // memory was changed in a way that may end the polling of others

unsigned lane();                                           // of the running thread in its warp
void demand(bool ok, const Site& site, const char* what);  // a KernelFault unless ok
void* shared_of(const void* key, size_t bytes, size_t alignment, std::source_location where);
void* dynamic_shared();

}  // namespace dehvf::simt
