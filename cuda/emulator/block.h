// The threads of a resident block, what they wait for, and the barriers and exchanges where they meet.
// Only the emulator's own files see this.
#pragma once

#include <array>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "cuda/emulator/arena.h"
#include "cuda/emulator/async.h"
#include "cuda/emulator/fiber.h"
#include "cuda/emulator/mbarrier.h"
#include "cuda/emulator/warpgroup.h"

namespace dehvf::simt {

struct Block;
struct Cluster;
struct Grid;
struct Warp;

inline constexpr unsigned kLanes = 32, kMostInCluster = 4;

enum class State : uint8_t { ready, running, waiting, polling, left };

/// What a waiting thread waits for; `ready` is asked by the scheduler.
struct Wait {
  Site site{};
  bool (*ready)(const void* context) = nullptr;
  const void* context = nullptr;
  std::string (*state)(const void* context) = nullptr;  // what it lacks, for a report
};

/// A thread's groups of copies.
struct Copies {
  std::list<Batch> groups{1};  // oldest first; the last one is not closed yet
  std::list<Batch> idle;
  sanitizer::Context agent;  // of all groups
  ~Copies() { sanitizer::dismiss(agent); }
};
const Site* forgotten(const Copies& copies);        // one that nobody waited for
void reuse_copies(std::unique_ptr<Copies> copies);  // by threads that come after all that was

struct Thread {
  Grid* grid;
  Block* block;
  Warp* warp;
  unsigned linear, lane;
  uint3 index;
  State state = State::ready;
  Wait wait;
  std::unique_ptr<Fiber> fiber;         // from the first resume to the last
  std::unique_ptr<Copies> copies;       // from the first asynchronous copy on
  std::unique_ptr<StoreGroups> stores;  // from the first bulk store on
  bool arrived_in_cluster = false;      // and has not waited
  uint32_t cluster_phase = 0;           // for which it waits then
  ProductsOfThread products;
  size_t register_changes = 0;  // those of its warpgroup that it has made
};

/// Where threads of a block meet. What one phase leaves behind lies under the parity of its number, because
/// a thread may begin the next phase before another has read the result of this one.
struct Barrier {
  unsigned arrived = 0;
  unsigned expected = 0;
  unsigned votes = 0;
  uint32_t phase = 0;
  Site site{};                    // of the first who arrived in this phase
  const Thread* first = nullptr;  // and who that was
  std::array<unsigned, 2> result{};
  std::array<char, 2> token{};
};

/// One exchange of lanes that name the same mask; kept until the last of them has its result.
struct Exchange {
  static constexpr size_t kSlot = 64;
  using Slots = unsigned char[kLanes][kSlot];
  uint32_t mask = 0, arrived = 0, taken = 0;
  bool done = false;
  Site site{};
  const Thread* first = nullptr;
  char token = 0;
  alignas(64) Slots in, out;
};

struct Warp {
  uint32_t lanes = 0;  // those that exist
  uint32_t left = 0;   // those that have ended
  std::vector<std::unique_ptr<Exchange>> open, idle;
};

struct Block {
  Grid* grid;
  Cluster* cluster;
  unsigned rank;  // in the cluster
  uint3 index;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::array<Barrier, 16> barriers;
  std::vector<Warpgroup> warpgroups;
  std::map<const void*, Mbarrier> mbarriers;
  std::array<std::optional<Site>, kMostInCluster> mapped_by;  // peers that know addresses of its memory
  unsigned left = 0;
  bool ended = false;
  char begin_token = 0;
  Arena arena;
};

std::ostream& operator<<(std::ostream& out, const Thread& thread);  // thread 33 (warp 1, lane 1)

Thread& current();  // the running thread; throws DeviceError outside of a kernel

/// Throws KernelFault "rms_norm: <parts>, block (1, 0, 0)" for the running thread's kernel.
[[noreturn]] void fault(const Thread& thread, const std::string& what);

/// Suspends the running thread; wait_until asks first.
void suspend_until(const Wait& wait);

template <class Ready>
void wait_until(const Site& site, const Ready& ready) {
  if (!ready())
    suspend_until(
        {site, [](const void* context) { return (*static_cast<const Ready*>(context))(); }, &ready});
}

}  // namespace dehvf::simt
