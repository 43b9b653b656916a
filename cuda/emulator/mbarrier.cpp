#include "cuda/emulator/mbarrier.h"

#include "cuda/emulator/cluster.h"
#include "cuda/emulator/grid_state.h"

namespace dehvf::simt {
namespace {

constexpr uint64_t kMark = 0x6d62617272696572;
constexpr int64_t kMost = (1 << 20) - 1;  // of arrivals and of bytes

Mbarrier& found(const Site& site, Block& block, const uint64_t* barrier) {
  const auto at = block.mbarriers.find(barrier);
  const bool known = at != block.mbarriers.end() && at->second.valid;
  if (!known) fault(current(), concat(site, ": no mbarrier was initialised there, ", current()));
  if (*barrier != kMark)
    fault(current(), concat(site, ": the bytes of the mbarrier were overwritten, ", current()));
  return at->second;
}

void settle(Mbarrier& m) {
  if (m.pending > 0 || m.transactions != 0) return;
  if (m.held != 0) fault(current(), concat(m.held, " bytes under way to an mbarrier were not announced"));
  m.pending = m.expected;
  ++m.phase;
  progressed();
}

void arrive_on(const Site& site, Mbarrier& m, unsigned arrivals) {
  if (arrivals == 0 || arrivals > m.pending)
    fault(current(), concat(site, ": over-arrival, ", current(), " arrives ", arrivals, " times, phase ",
                            m.phase, " of the mbarrier wants ", m.pending, " more of ", m.expected));
  m.pending -= arrivals;
  settle(m);
}

void expect(const Site& site, Mbarrier& m, int64_t bytes) {
  m.transactions += bytes;
  if (m.transactions > kMost || m.transactions < -kMost)
    fault(current(), concat(site, ": ", m.transactions, " bytes under way, an mbarrier counts to ", kMost,
                            ", ", current()));
}

// What the asynchronous work of a peer did comes before the end of the phase, what its threads stored does
// not.
void hand_over_work(Block& from, Mbarrier& to) {
  std::vector<void*> tokens;
  for (auto& [at, m] : from.mbarriers)
    for (Batch& copies : m.copies) tokens.push_back(copies.token());
  for (Warpgroup& group : from.warpgroups) tokens.push_back(&group.over_token);
  sanitizer::forward(to.messenger, tokens, &to.token[to.phase & 1]);
}

struct PhaseWait {
  Mbarrier& m;
  unsigned parity;

  bool over() const { return (m.phase & 1) != parity; }
  bool last_moment() const { return m.pending == 0 && m.held != 0 && m.transactions == m.held; }
  bool ready() const { return over() || last_moment(); }
  std::string state() const {
    return concat("(phase ", m.phase, ": ", m.pending, " of ", m.expected, " arrivals and ", m.transactions,
                  " bytes missing)");
  }
};

// The waiting thread goes on: copies that were kept back arrive now at the latest.
void pass(PhaseWait& wait) {
  const sanitizer::Unseen unseen;
  Mbarrier& m = wait.m;
  m.copies[wait.parity].arrive();
  if (!wait.over()) {
    m.transactions -= m.held;
    m.held = 0;
    settle(m);
  }
  m.unobserved[wait.parity].clear();
  sanitizer::acquire(&m.token[wait.parity]);
}

PhaseWait wait_for(const Site& site, uint64_t* barrier, unsigned parity) {
  if (parity > 1) fault(current(), concat(site, ": wanted parity 0 or 1, found ", parity, ", ", current()));
  return {found(site, *current().block, barrier), parity};
}

}  // namespace

void mbarrier_init(const Site& site, uint64_t* barrier, unsigned arrivals) {
  Thread& thread = current();
  demand_shared(site, barrier, sizeof *barrier, alignof(uint64_t));
  if (arrivals == 0 || arrivals > kMost)
    fault(thread, concat(site, ": wanted 1 to ", kMost, " arrivals, found ", arrivals, ", ", thread));
  Mbarrier& m = thread.block->mbarriers[barrier];
  if (m.valid) fault(thread, concat(site, ": there is an mbarrier already, ", thread));
  m.valid = true;
  m.fenced = false;
  m.expected = m.pending = arrivals;
  m.transactions = m.held = 0;
  m.phase = 0;
  *barrier = kMark;
  sanitizer::open(m.messenger);
}

void mbarrier_invalidate(const Site& site, uint64_t* barrier) {
  found(site, *current().block, barrier).valid = false;
}

void proxy_fence() {
  current().block->arena.publish();
  mbarrier_fence();
}

void mbarrier_fence() {
  for (auto& [at, m] : current().block->mbarriers) m.fenced = true;
}

void mbarrier_arrive(const Site& site, uint64_t* barrier, unsigned arrivals, unsigned bytes) {
  Mbarrier& m = found(site, *current().block, barrier);
  expect(site, m, bytes);
  sanitizer::release(&m.token[m.phase & 1]);
  if (arrivals > 0) arrive_on(site, m, arrivals);
}

void mbarrier_arrive_remote(const Site& site, uint64_t* barrier, unsigned rank) {
  const sanitizer::Unseen unseen;
  Block& block = peer(site, rank);
  Mbarrier& m = found(site, block, static_cast<uint64_t*>(counterpart(site, barrier, block)));
  if (&block != current().block && !m.fenced)
    fault(current(), concat(site, ": no fence between the peer's mbarrier_init and this, ", current()));
  if (&block == current().block)
    sanitizer::release(&m.token[m.phase & 1]);
  else
    hand_over_work(*current().block, m);
  arrive_on(site, m, 1);
}

bool mbarrier_try_wait(const Site& site, uint64_t* barrier, unsigned parity) {
  PhaseWait wait = wait_for(site, barrier, parity);
  if (!wait.ready()) poll(site);
  if (!wait.ready()) return false;
  pass(wait);
  return true;
}

void mbarrier_wait(const Site& site, uint64_t* barrier, unsigned parity) {
  PhaseWait wait = wait_for(site, barrier, parity);
  if (!wait.ready())
    suspend_until({site, [](const void* context) { return static_cast<const PhaseWait*>(context)->ready(); },
                   &wait,
                   [](const void* context) { return static_cast<const PhaseWait*>(context)->state(); }});
  pass(wait);
}

void mbarrier_transfer(const Site& site, const Transfer& transfer) {
  const sanitizer::Unseen unseen;
  Mbarrier& m = found(site, transfer.block, transfer.barrier);
  if (!m.fenced)
    fault(current(), concat(site, ": no fence between mbarrier_init and an asynchronous copy, ", current()));
  const unsigned parity = m.phase & 1;
  const Touch& to = transfer.touches.front();
  m.unobserved[parity].push_back({extent(to.data, to.bytes), site});
  m.copies[parity].start(site, transfer.touches, transfer.code, transfer.work);
  if (current().grid->delivery == Delivery::late) {
    m.held += transfer.bytes;
    return;
  }
  expect(site, m, -int64_t(transfer.bytes));
  settle(m);
}

const Site* unobserved(const Block& block) {
  for (const auto& [at, m] : block.mbarriers)
    for (const auto& copies : m.unobserved)
      if (!copies.empty()) return &copies.front().site;
  return nullptr;
}

}  // namespace dehvf::simt
