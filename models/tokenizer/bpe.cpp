#include "models/tokenizer/bpe.h"

#include <queue>

namespace dehvf {
namespace {

uint64_t key_of(int32_t left, int32_t right) { return uint64_t(uint32_t(left)) << 32 | uint32_t(right); }

struct Symbol {
  int32_t id;  // -1 once it went into its left neighbour
  int32_t previous, next;
};

struct Candidate {
  int32_t rank, at, merged;  // `at` is the left symbol
};

struct Later {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
  }
};

}  // namespace

bool BpeMerges::add(int32_t left, int32_t right, int32_t rank, int32_t merged) {
  return merges_.try_emplace(key_of(left, right), Merge{rank, merged}).second;
}

const BpeMerges::Merge* BpeMerges::find(int32_t left, int32_t right) const {
  const auto found = merges_.find(key_of(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BpeMerges::apply(std::vector<int32_t>& ids) const {
  const auto count = int32_t(ids.size());
  std::vector<Symbol> symbols(ids.size());
  std::vector<Candidate> found;
  for (int32_t i = 0; i < count; ++i) {
    symbols[i] = {ids[i], i - 1, i + 1 < count ? i + 1 : -1};
    if (i + 1 == count) break;
    if (const Merge* merge = find(ids[i], ids[i + 1])) found.push_back({merge->rank, i, merge->merged});
  }
  std::priority_queue<Candidate, std::vector<Candidate>, Later> queue(Later{}, std::move(found));
  const auto offer = [&](int32_t at) {
    if (at < 0 || symbols[at].next < 0) return;
    if (const Merge* merge = find(symbols[at].id, symbols[symbols[at].next].id))
      queue.push({merge->rank, at, merge->merged});
  };
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol& left = symbols[top.at];
    if (left.id < 0 || left.next < 0) continue;
    // A candidate is stale when the symbols under it have changed, unless they still merge into the same
    // token.
    const Merge* merge = find(left.id, symbols[left.next].id);
    if (!merge || merge->merged != top.merged) continue;
    Symbol& right = symbols[left.next];
    left.id = top.merged;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[left.next].previous = top.at;
    offer(left.previous);
    offer(top.at);
  }
  ids.clear();
  for (int32_t i = count > 0 ? 0 : -1; i >= 0; i = symbols[i].next) ids.push_back(symbols[i].id);
}

}  // namespace dehvf
