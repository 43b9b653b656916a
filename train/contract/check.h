// What a fusion operator promises, as checks on tiny models: `dehvf check-operator` prints them, the tests
// run them over every registered operator.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "train/contract/tiny.h"

namespace dehvf::contract {

/// Collects what one check finds wrong.
class Verdict {
 public:
  /// Parts of one line: what was looked at, wanted, found.
  template <class... Parts>
  void expect(bool holds, const Parts&... parts) {
    if (!holds) wrong_.push_back(concat(parts...));
  }
  /// The check says nothing about this operator, or cannot run here.
  void skip(std::string reason) { skipped_ = std::move(reason); }
  const std::vector<std::string>& wrong() const { return wrong_; }
  const std::string& skipped() const { return skipped_; }

 private:
  std::vector<std::string> wrong_;
  std::string skipped_;
};

struct Check {
  std::string_view name, promise;
  void (*run)(const tiny::Case& c, Verdict& verdict);
  bool first_case_only = false;  // where the variants of an operator's keys make no difference
};

struct Result {
  bool passed = false;
  std::string skipped;  // why, where it was
  std::string detail;   // what was found, when it did not pass: a few lines
};

std::span<const Check> checks();
/// What a check throws counts as found.
Result run_check(const Check& check, const tiny::Case& c);

}  // namespace dehvf::contract
