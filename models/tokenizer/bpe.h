// Byte-pair merges over token ids.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "models/tokenizer/model.h"

namespace dehvf {

class BpeMerges {
 public:
  /// `left` and `right` side by side become `merged`; lower ranks first. False when the pair was there
  /// already.
  bool add(int32_t left, int32_t right, int32_t rank, int32_t merged);

  /// Merges until no pair is left, always the pair of lowest rank, the leftmost of equals; O(n log n).
  void apply(std::vector<int32_t>& ids) const;

 private:
  struct Merge {
    int32_t rank, merged;
  };
  const Merge* find(int32_t left, int32_t right) const;

  std::unordered_map<uint64_t, Merge> merges_;
};

struct BpeModel : TokenizerModel {
  BpeMerges merges;
};

}  // namespace dehvf
