// What of the language model itself is trained, whatever the fusion operator: LoRA, norms, biases and scales,
// or all of its weights.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dehvf {

/// Some of the linear maps of a block, by name and separated by commas: q, k, v, o, gate, up, down. Throws
/// ConfigError for a name that is none of them or stands twice, and for an empty list.
class LoraTargets {
 public:
  LoraTargets(const char* list = "q,v");  // NOLINT(google-explicit-constructor): a list is written as text
  bool has(std::string_view map) const;
  std::string text() const;

 private:
  unsigned bits_;
};

/// `none`, `full` (every weight), or some of `norms` (weights of all norms), `biases` and `scales` (new ones,
/// of every linear map in the blocks), separated by commas. Throws as LoraTargets does.
class TunedParts {
 public:
  TunedParts(const char* list = "none");  // NOLINT(google-explicit-constructor): as above
  bool any() const { return bits_ != 0; }
  bool full() const { return bits_ == kFull; }
  bool has(std::string_view part) const;  // not of full
  std::string text() const;

 private:
  static constexpr unsigned kFull = 1u << 31;
  unsigned bits_;
};

struct LoraConfig {
  int64_t rank = 0;  // 0: none
  double alpha = 8;
  bool rslora = false;
  double dropout = 0;  // of what lora_A reads
  LoraTargets targets;

  double factor() const;  // alpha / rank, rank-stabilised alpha / sqrt(rank)
};

struct LlamaTuning {
  LoraConfig lora;
  TunedParts tune;

  bool any() const { return lora.rank > 0 || tune.any(); }
  void check() const;  // throws ConfigError for values that cannot be, alone or together
};

}  // namespace dehvf
