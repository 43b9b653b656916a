// Every registered operator, with every variant of its keys, keeps what operators promise.
#include <set>

#include <gtest/gtest.h>

#include "cuda/emulator/sanitizer.h"
#include "train/contract/check.h"

namespace dehvf::contract {
namespace {

struct Promise {
  Check check;
  tiny::Case of;
  friend std::ostream& operator<<(std::ostream& out, const Promise& promise) {
    return out << promise.check.name << " of " << promise.of;
  }
};

std::vector<Promise> promises() {
  std::vector<Promise> all;
  std::set<std::string> seen;
  for (const tiny::Case& c : tiny::all_cases()) {
    const bool first = seen.insert(c.fusion).second;
    // Variants take a sanitizer ten minutes and run the same code with other numbers; so do
    // the operators' recorded steps, half a minute each.
    const bool sanitized = simt::sanitizer::name() != "none";
    if (!first && sanitized) continue;
    for (const Check& check : checks()) {
      if (sanitized && check.name == "replay" && c.fusion != "dehvf") continue;
      if (first || !check.first_case_only) all.push_back({check, c});
    }
  }
  return all;
}

class Contract : public testing::TestWithParam<Promise> {};
INSTANTIATE_TEST_SUITE_P(Operators, Contract, testing::ValuesIn(promises()));

TEST_P(Contract, Holds) {
  const auto& [check, c] = GetParam();
  const Result result = run_check(check, c);
  EXPECT_TRUE(result.passed) << check.promise << "\n" << result.detail;
}

TEST(Contract, CoversOperatorsAndPromises) {
  std::set<std::string> names;
  for (const Check& check : checks()) EXPECT_TRUE(names.insert(std::string(check.name)).second) << check.name;
  EXPECT_GE(names.size(), 20u);
  EXPECT_GE(Registry<Fusion>::instance().keys().size(), 7u);
}

}  // namespace
}  // namespace dehvf::contract
