// BPE of LLaMA-1 and 2 as a tokenizer.json: spaces become U+2581, the whole text is one word, unknown
// characters become byte tokens.
#pragma once

#include <array>
#include <unordered_map>

#include "models/tokenizer/bpe.h"

namespace dehvf {

enum class SpacePrefix { never, always, unless_present };  // U+2581 before a text that is not empty

struct SpaceMarkerModel : BpeModel {
  SpacePrefix prefix = SpacePrefix::always;
  bool strip_first_space = true;  // decode takes the prefix away
  bool fuse_unknown = false;      // neighbouring unknown characters become one unk
  std::unordered_map<char32_t, int32_t> characters;
  std::array<int32_t, 256> byte_ids;  // -1: no such token

  std::vector<int32_t> encode(std::string_view text) const override;
  std::string decode(std::span<const int32_t> ids) const override;

 private:
  bool append_bytes(std::string_view character, std::vector<int32_t>& ids) const;
};

/// The byte of a piece "<0x41>", else -1.
int byte_of_piece(std::string_view piece);

}  // namespace dehvf
