#include "models/tokenizer/space_marker.h"

#include <algorithm>

#include "core/text/utf8.h"

namespace dehvf {
namespace {

constexpr std::string_view kMarker = "\u2581";

void append_replaced(std::string& out, std::string_view text, std::string_view from, std::string_view to) {
  for (;;) {
    const size_t at = text.find(from);
    out += text.substr(0, at);
    if (at == text.npos) return;
    out += to;
    text.remove_prefix(at + from.size());
  }
}

// Bytes of a run of byte tokens: the text when they are UTF-8, else one U+FFFD for each.
void flush_bytes(std::string& out, std::string& bytes) {
  bool valid = true;
  for (std::string_view rest = bytes; valid && !rest.empty();) {
    const CodePoint c = first_code_point(rest);
    valid = c.valid;
    rest.remove_prefix(c.length);
  }
  if (valid) out += bytes;
  for (size_t i = 0; !valid && i < bytes.size(); ++i) append_utf8(out, 0xfffd);
  bytes.clear();
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

int byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  const int high = hex_value(piece[3]), low = hex_value(piece[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool SpaceMarkerModel::append_bytes(std::string_view character, std::vector<int32_t>& ids) const {
  const auto has_token = [&](char byte) { return byte_ids[uint8_t(byte)] >= 0; };
  if (!std::all_of(character.begin(), character.end(), has_token)) return false;
  for (const char byte : character) ids.push_back(byte_ids[uint8_t(byte)]);
  return true;
}

std::vector<int32_t> SpaceMarkerModel::encode(std::string_view text) const {
  std::string marked;
  append_replaced(marked, replace_invalid_utf8(text), " ", kMarker);
  const bool present = prefix == SpacePrefix::unless_present && marked.starts_with(kMarker);
  if (!marked.empty() && prefix != SpacePrefix::never && !present) marked.insert(0, kMarker);
  std::vector<int32_t> ids;
  bool pending =
      false;  // an unk not yet written: it waits for neighbours to fuse with, and byte tokens overtake it
  for (std::string_view rest = marked; !rest.empty();) {
    const CodePoint c = first_code_point(rest);
    const std::string_view character = rest.substr(0, c.length);
    rest.remove_prefix(c.length);
    if (const auto found = characters.find(c.value); found != characters.end()) {
      if (pending) ids.push_back(unk);
      pending = false;
      ids.push_back(found->second);
    } else if (!append_bytes(character, ids) && unk >= 0) {
      if (pending && !fuse_unknown) ids.push_back(unk);
      pending = true;
    }
  }
  if (pending) ids.push_back(unk);
  merges.apply(ids);
  return ids;
}

std::string SpaceMarkerModel::decode(std::span<const int32_t> ids) const {
  std::string text, bytes;
  for (const int32_t id : ids) {
    if (special[size_t(id)]) continue;
    const std::string& piece = pieces[size_t(id)];
    if (const int byte = byte_of_piece(piece); byte >= 0) {
      bytes += char(byte);
      continue;
    }
    flush_bytes(text, bytes);
    append_replaced(text, piece, kMarker, " ");
  }
  flush_bytes(text, bytes);
  if (strip_first_space && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

}  // namespace dehvf
