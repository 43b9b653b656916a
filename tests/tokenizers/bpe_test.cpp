#include "models/tokenizer/bpe.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

namespace dehvf {
namespace {

using Ids = std::vector<int32_t>;
using Rules = std::map<std::pair<int32_t, int32_t>, std::pair<int32_t, int32_t>>;  // pair -> rank, merged

// The definition: look at every pair, merge the one of lowest rank, the leftmost of equals, until none is
// left.
Ids merged_slowly(Ids ids, const Rules& rules) {
  for (;;) {
    size_t best = ids.size();
    int32_t best_rank = 0, merged = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = rules.find({ids[i], ids[i + 1]});
      if (found == rules.end() || (best < ids.size() && found->second.first >= best_rank)) continue;
      best = i, best_rank = found->second.first, merged = found->second.second;
    }
    if (best == ids.size()) return ids;
    ids[best] = merged;
    ids.erase(ids.begin() + std::ptrdiff_t(best) + 1);
  }
}

// Each merge makes a token of its own, so that the order of merges follows from the ranks alone.
TEST(Bpe, EqualsTheDefinition) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    const int letters = 1 + int(random() % 4);
    const int tokens = letters + int(random() % 30);
    BpeMerges merges;
    Rules rules;
    for (int32_t token = letters; token < tokens; ++token) {
      const auto left = int32_t(random() % uint32_t(token)), right = int32_t(random() % uint32_t(token));
      const bool is_new = rules.try_emplace({left, right}, token, token).second;
      EXPECT_EQ(merges.add(left, right, token, token), is_new);
    }
    for (int text = 0; text < 10; ++text) {
      Ids ids(random() % 70);
      for (auto& id : ids) id = int32_t(random() % uint32_t(letters));
      Ids fast = ids;
      merges.apply(fast);
      EXPECT_EQ(fast, merged_slowly(ids, rules));
    }
  }
}

TEST(Bpe, LeftmostOfEqualPairs) {
  BpeMerges merges;
  merges.add(0, 0, 0, 1);
  Ids ids(5, 0);
  merges.apply(ids);
  EXPECT_EQ(ids, (Ids{1, 1, 0}));
}

}  // namespace
}  // namespace dehvf
