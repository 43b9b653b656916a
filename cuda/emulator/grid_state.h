// A grid while it runs. Only the emulator's own files see this.
#pragma once

#include <exception>

#include "cuda/emulator/block.h"
#include "cuda/emulator/cluster.h"
#include "cuda/emulator/delivery.h"
#include "cuda/emulator/grid.h"

namespace dehvf::simt {

struct Grid {
  Grid(const Launch& launch, const std::function<void()>& body);
  ~Grid();  // ends every thread that is under way
  Grid(const Grid&) = delete;
  Grid& operator=(const Grid&) = delete;

  void run();
  void run_thread(Thread& thread);  // on the thread's fiber, from its first step to its last
  void enter(Thread& thread);       // it is the running one from here on

  const Launch& launch;
  const std::function<void()>& body;
  const Delivery delivery = simt::delivery();
  uint64_t progress = 0;  // steps that were no mere polling
  bool cancelled = false;
  std::exception_ptr failure;
  char end_token = 0, fence_token = 0;

 private:
  void load(Cluster& cluster);
  void load(Block& block);
  void run_cluster(Cluster& cluster);
  void ended(Block& block);
  bool run_block(Block& block);          // until no warp of it goes on; false when all its threads have ended
  const Thread& resume(Thread& thread);  // returns the last of its warp that ran
  void left(Thread& thread);
  template <class Fn>
  void for_each_block(const Fn& fn) const {
    for (const auto& cluster : resident_)
      for (const auto& block : cluster->blocks) fn(*block);
  }
  bool somebody_polls() const;
  [[noreturn]] void deadlock() const;

  uint64_t fruitless_ = 0;  // rounds without progress in a row
  uint64_t next_ = 0;       // the next block to be loaded
  std::vector<std::unique_ptr<Cluster>> resident_;
};

}  // namespace dehvf::simt
