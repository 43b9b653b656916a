// Work that goes on beside the threads: asynchronous copies, products of the tensor cores. For the race
// detector it is an actor of its own; it arrives as the grid's Delivery says. Only the emulator's own files
// see this.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "cuda/emulator/report.h"
#include "cuda/emulator/sanitizer.h"

namespace dehvf::simt {

using sanitizer::Touch;

/// Pieces of work that are waited for together: a group of copies, a phase of an mbarrier.
class Batch {
 public:
  Batch() = default;
  ~Batch();
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  /// The running thread starts a piece that reads and writes what `touches` says. Eager: `work` is done at
  /// once. Late: in arrive(), and until then what it will write is NaN. `work` stands in a file of the
  /// emulator, so that it is not seen as done by the thread. `code`: __builtin_return_address(0) of what the
  /// kernel called, the line that the race detector names. `agent`: whose work it is for the race detector,
  /// for which actors are dear; the batch's own unless told.
  void start(const Site& site, std::span<const Touch> touches, const void* code, std::function<void()> work,
             sanitizer::Context* agent = nullptr);

  /// Called by each who waited for it: does what is left, in the order of the starts; all of it happened
  /// before what the caller does next.
  void arrive();

  const std::optional<Site>& first() const { return first_; }  // piece that nobody waited for
  void* token() { return &token_; }                            // of what its pieces did

 private:
  std::optional<Site> first_;
  std::vector<std::function<void()>> left_;
  sanitizer::Context agent_;
  char token_ = 0;
};

/// A KernelFault of the running thread unless all bytes are the block's shared memory and aligned.
void demand_shared(const Site& site, const void* data, size_t bytes, size_t alignment);

}  // namespace dehvf::simt
