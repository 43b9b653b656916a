#include "models/tokenizer/byte_level.h"

#include "core/text/utf8.h"
#include "models/tokenizer/llama3_split.h"

namespace dehvf {
namespace {

// Bytes that Latin-1 shows stand for themselves, the others get U+0100, U+0101, ... in their order.
struct VisibleTable {
  std::array<char32_t, 256> character;
  std::array<int, 0x144> byte;  // -1: none

  VisibleTable() {
    byte.fill(-1);
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool shown = (b >= '!' && b <= '~') || (b >= 0xa1 && b != 0xad);
      character[b] = shown ? char32_t(b) : next++;
      byte[character[b]] = b;
    }
  }
};

const VisibleTable& visible_table() {
  static const VisibleTable table;
  return table;
}

}  // namespace

std::optional<std::string> bytes_of_visible(std::string_view text) {
  const auto& table = visible_table();
  std::string bytes;
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    if (c.value >= table.byte.size() || table.byte[c.value] < 0) return std::nullopt;
    bytes += char(table.byte[c.value]);
    text.remove_prefix(c.length);
  }
  return bytes;
}

std::string visible_of_bytes(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) append_utf8(text, visible_table().character[uint8_t(byte)]);
  return text;
}

std::vector<int32_t> ByteLevelModel::encode(std::string_view text) const {
  const std::string valid = replace_invalid_utf8(text);
  std::vector<int32_t> ids, word_ids;
  for (const std::string_view word : llama3_split(valid)) {
    if (const auto found = words.find(word); found != words.end()) {
      ids.push_back(found->second);
      continue;
    }
    word_ids.clear();
    for (const char byte : word) word_ids.push_back(byte_ids[uint8_t(byte)]);
    merges.apply(word_ids);
    ids.insert(ids.end(), word_ids.begin(), word_ids.end());
  }
  return ids;
}

std::string ByteLevelModel::decode(std::span<const int32_t> ids) const {
  std::string bytes;
  for (const int32_t id : ids)
    if (!special[size_t(id)]) bytes += pieces[size_t(id)];
  return replace_invalid_utf8(bytes);
}

}  // namespace dehvf
