#include "cuda/emulator/grid.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "cuda/emulator/grid_state.h"

namespace dehvf::simt {
namespace {

// Rounds in which threads do nothing but atomics that change nothing: beyond them it is a loop without end.
constexpr uint64_t kFruitless = 10000;

struct Cancelled {};  // unwinds a thread of a grid that has failed

thread_local Thread* running = nullptr;
thread_local std::vector<std::unique_ptr<Fiber>> idle_fibers;

uint64_t volume(const dim3& size) { return uint64_t(size.x) * size.y * size.z; }

uint3 position(uint64_t linear, const dim3& size) {
  return {unsigned(linear % size.x), unsigned(linear / size.x % size.y),
          unsigned(linear / (uint64_t(size.x) * size.y))};
}

void check(const Launch& launch) {
  const auto demand = [&](bool ok, const auto&... parts) {
    require<KernelFault>(ok, launch.kernel, ": ", parts..., ", launched at ", place(launch.where));
  };
  const dim3 &grid = launch.grid, &block = launch.block;
  demand(volume(block) > 0 && volume(block) <= 1024 && block.x <= 1024 && block.y <= 1024 && block.z <= 64,
         "wanted blocks of 1 to 1024 threads, z at most 64, found ", block);
  demand(
      grid.x > 0 && grid.x <= 0x7fffffffu && grid.y > 0 && grid.y <= 65535 && grid.z > 0 && grid.z <= 65535,
      "wanted a grid of at least 1 and at most (2147483647, 65535, 65535) blocks, found ", grid);
  demand(launch.cluster >= 1 && launch.cluster <= kMostInCluster && grid.x % launch.cluster == 0,
         "wanted clusters of 1 to ", kMostInCluster, " blocks, of which the grid's x is a multiple, found ",
         launch.cluster, " in a grid of ", grid);
  demand(launch.shared <= kDynamicShared, "wanted at most ", kDynamicShared,
         " bytes of dynamic shared memory, found ", launch.shared);
}

bool can_go_on(const Thread& thread) {
  switch (thread.state) {
    case State::ready:
    case State::polling:
      return true;
    case State::waiting:
      return thread.wait.ready(thread.wait.context);
    default:
      return false;
  }
}

// The next lane that has begun and can go on. It takes over directly: lanes come from the same calls, so the
// processor foresees where they return to, which behind a switch from elsewhere it does not.
Thread* next_of_warp(const Thread& thread) {
  const auto threads = std::span(thread.block->threads).subspan(thread.linear - thread.lane);
  for (unsigned lane = thread.lane + 1; lane < std::min<size_t>(kLanes, threads.size()); ++lane)
    if (threads[lane].fiber && can_go_on(threads[lane])) return &threads[lane];
  return nullptr;
}

std::unique_ptr<Fiber> take_fiber() {
  if (idle_fibers.empty()) return std::make_unique<Fiber>();
  auto fiber = std::move(idle_fibers.back());
  idle_fibers.pop_back();
  return fiber;
}

void reuse_fibers(Block& block) {
  for (Thread& thread : block.threads)
    if (thread.fiber) idle_fibers.push_back(std::move(thread.fiber));
}

void reuse_all(Block& block) {
  reuse_fibers(block);
  for (Thread& thread : block.threads)
    if (thread.copies) reuse_copies(std::move(thread.copies));
}

}  // namespace

Thread& current() {
  require<DeviceError>(running != nullptr, "emulator: a device function was called outside of a kernel");
  return *running;
}

std::ostream& operator<<(std::ostream& out, const Thread& thread) {
  return out << "thread " << thread.linear << " (warp " << thread.linear / kLanes << ", lane " << thread.lane
             << ')';
}

void fault(const Thread& thread, const std::string& what) {
  fail<KernelFault>(thread.grid->launch.kernel, ": ", what, ", block ", thread.block->index);
}

void suspend_until(const Wait& wait) {
  Thread& thread = current();
  thread.wait = wait;
  thread.state = wait.ready ? State::waiting : State::polling;
  if (Thread* const next = thread.grid->cancelled ? nullptr : next_of_warp(thread)) {
    thread.grid->enter(*next);
    thread.fiber->hand_over(*next->fiber);
  } else {
    thread.fiber->suspend();
  }
  if (thread.grid->cancelled) throw Cancelled{};
}

Grid::Grid(const Launch& launch, const std::function<void()>& body) : launch(launch), body(body) {
  const uint64_t clusters = std::min<uint64_t>(volume(launch.grid), kMultiprocessors) / launch.cluster;
  for (uint64_t i = 0; i < clusters; ++i) {
    resident_.push_back(std::make_unique<Cluster>());
    for (unsigned rank = 0; rank < launch.cluster; ++rank)
      resident_.back()->blocks.push_back(std::make_unique<Block>());
    load(*resident_.back());
  }
}

Grid::~Grid() {
  cancelled = true;
  for_each_block([&](Block& block) {
    for (Thread& thread : block.threads)
      while (thread.fiber && thread.state != State::left) resume(thread);
  });
  sanitizer::acquire(&end_token);
  for_each_block(reuse_fibers);
}

void Grid::load(Cluster& cluster) {
  cluster.ended = 0;
  cluster.barrier = {};
  cluster.barrier.expected = unsigned(cluster.blocks.size() * volume(launch.block));
  for (unsigned rank = 0; rank < cluster.blocks.size(); ++rank) {
    cluster.blocks[rank]->cluster = &cluster;
    cluster.blocks[rank]->rank = rank;
    load(*cluster.blocks[rank]);
  }
}

void Grid::load(Block& block) {
  const unsigned threads = unsigned(volume(launch.block));
  block.grid = this;
  block.index = position(next_++, launch.grid);
  block.left = 0;
  block.ended = false;
  block.barriers = {};
  block.mbarriers.clear();
  block.warpgroups = std::vector<Warpgroup>((threads + kWarpgroup - 1) / kWarpgroup);
  block.mapped_by = {};
  block.warps.clear();
  block.warps.resize((threads + kLanes - 1) / kLanes);
  block.threads.clear();
  block.threads.reserve(threads);
  for (unsigned i = 0; i < threads; ++i) {
    Warp& warp = block.warps[i / kLanes];
    warp.lanes |= 1u << i % kLanes;
    warp.open.reserve(kLanes);
    warp.idle.reserve(kLanes);
    block.threads.push_back({this, &block, &warp, i, i % kLanes, position(i, launch.block)});
  }
  block.arena.reset(launch.shared);
  sanitizer::release(&block.begin_token);
  ++progress;
}

void Grid::run() {
  while (!resident_.empty()) {
    const uint64_t before = progress;
    for (const auto& cluster : resident_) {
      run_cluster(*cluster);
      if (cluster->ended == cluster->blocks.size() && next_ < volume(launch.grid)) load(*cluster);
    }
    std::erase_if(resident_, [](const auto& cluster) { return cluster->ended == cluster->blocks.size(); });
    fruitless_ = progress == before ? fruitless_ + 1 : 0;
    if (!resident_.empty() && fruitless_ > (somebody_polls() ? kFruitless : 0)) deadlock();
  }
}

void Grid::run_cluster(Cluster& cluster) {
  const auto check_memory = [](const Block& block) {
    if (const std::string damage = block.arena.damage(); !damage.empty())
      fault(block.threads.front(), damage);
  };
  for (const auto& block : cluster.blocks) {
    if (block->ended || run_block(*block)) continue;
    sanitizer::acquire(&end_token);  // its memory is used again
    block->ended = true;
    ++cluster.ended;
    check_ended(*block);
    check_memory(*block);
    reuse_all(*block);
    if (cluster.ended < cluster.blocks.size()) block->arena.retire();
  }
  if (cluster.ended == cluster.blocks.size())
    for (const auto& block : cluster.blocks) check_memory(*block);
}

bool Grid::somebody_polls() const {
  bool found = false;
  for_each_block([&](const Block& block) {
    found = found || std::ranges::any_of(block.threads,
                                         [](const Thread& thread) { return thread.state == State::polling; });
  });
  return found;
}

bool Grid::run_block(Block& block) {
  for (size_t first = 0; first < block.threads.size(); first += kLanes) {
    const size_t end = std::min(block.threads.size(), first + kLanes);
    uint64_t before = 0;
    do {
      before = progress;
      for (size_t i = first; i < end; ++i)
        if (can_go_on(block.threads[i])) i = resume(block.threads[i]).linear;
    } while (progress != before);
  }
  return block.left < block.threads.size();
}

void Grid::enter(Thread& thread) {
  if (thread.state != State::polling) ++progress;
  thread.state = State::running;
  threadIdx = thread.index;
  running = &thread;
}

const Thread& Grid::resume(Thread& thread) {
  if (!thread.fiber) {
    thread.fiber = take_fiber();
    thread.fiber->start(
        [](void* context) {
          auto& thread = *static_cast<Thread*>(context);
          thread.grid->run_thread(thread);
        },
        &thread);
  }
  blockIdx = thread.block->index;
  blockDim = launch.block;
  gridDim = launch.grid;
  enter(thread);
  thread.fiber->resume();
  Thread& last = *std::exchange(running, nullptr);
  if (last.fiber->ended()) left(last);
  if (failure && !cancelled) std::rethrow_exception(failure);
  return last;
}

void Grid::run_thread(Thread& thread) {
  sanitizer::acquire(&thread.block->begin_token);
  try {
    body();
  } catch (const Cancelled&) {
  } catch (...) {
    failure = std::current_exception();
  }
  thread.state = State::left;
  sanitizer::release(&end_token);
}

void Grid::left(Thread& thread) {
  // For the race detector the next one on this stack has to come after this one.
  if (!sanitizer::sees_races()) idle_fibers.push_back(std::move(thread.fiber));
  ++progress;
  ++thread.block->left;
  thread.warp->left |= 1u << thread.lane;
  if (failure || cancelled) return;
  const auto desert = [&](const auto& meeting) {
    fault(thread, concat(thread, " has ended, but ", *meeting.first, " waits for it at ", meeting.site));
  };
  if (const Site* copy = thread.copies ? forgotten(*thread.copies) : nullptr)
    fault(thread, concat(thread, " has ended and did not wait for ", *copy));
  finish_stores(thread);
  check_left(thread);
  check_warpgroup_left(thread);
  if (thread.block->barriers[0].arrived > 0) desert(thread.block->barriers[0]);
  for (const auto& exchange : thread.warp->open)
    if (!exchange->done && exchange->mask >> thread.lane & 1) desert(*exchange);
}

void Grid::deadlock() const {
  std::string waits;
  const Thread* witness = nullptr;
  for_each_block([&](const Block& block) {
    std::map<std::string, std::pair<int, const Thread*>> sites;
    for (const Thread& thread : block.threads) {
      if (thread.state == State::left) continue;
      const Wait& wait = thread.wait;
      auto& [count, first] =
          sites[wait.state ? concat(wait.site, ' ', wait.state(wait.context)) : concat(wait.site)];
      if (count++ == 0) first = &thread;
    }
    for (const auto& [site, found] : sites)
      waits += concat(waits.empty() ? "" : "; ", found.first, " of block ", block.index, " at ", site,
                      ", first ", *found.second);
    if (!witness && !sites.empty()) witness = &block.threads.front();
  });
  fault(*witness, concat("deadlock, nobody can go on: ", waits,
                         next_ < volume(launch.grid) ? "; other blocks wait for a multiprocessor" : ""));
}

void run_grid(const Launch& launch, const std::function<void()>& thread) {
  check(launch);
  require<DeviceError>(running == nullptr, launch.kernel, ": launched from within a kernel");
  const sanitizer::Unseen unseen;
  Grid(launch, thread).run();
}

}  // namespace dehvf::simt
