// Byte-level BPE: LLaMA-3's split, then merges over bytes. Serves tokenizer.json and rank text.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "models/tokenizer/bpe.h"

namespace dehvf {

/// A tokenizer.json writes each byte as one visible character (GPT-2's table: "Ġ" is a space). Empty where
/// `text` holds a character outside the table.
std::optional<std::string> bytes_of_visible(std::string_view text);
std::string visible_of_bytes(std::string_view bytes);

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using TokenIds = std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>>;

struct ByteLevelModel : BpeModel {
  std::array<int32_t, 256> byte_ids;
  TokenIds words;  // a split word found here is one token before any merge (ignore_merges)

  std::vector<int32_t> encode(std::string_view text) const override;
  std::string decode(std::span<const int32_t> ids) const override;
};

}  // namespace dehvf
