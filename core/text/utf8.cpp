#include "core/text/utf8.h"

#include <cstdint>

namespace dehvf {

CodePoint first_code_point(std::string_view text) {
  const auto lead = uint8_t(text[0]);
  if (lead < 0x80) return {lead, 1, true};
  const size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length == 0) return {0xfffd, 1, false};
  // Only the second byte has a narrower range: against overlong forms, surrogates and values above U+10FFFF.
  uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  char32_t value = lead & (0xff >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    const auto byte = i < text.size() ? uint8_t(text[i]) : uint8_t(0);
    if (byte < low || byte > high) return {0xfffd, i, false};
    value = value << 6 | (byte & 0x3f);
    low = 0x80, high = 0xbf;
  }
  return {value, length, true};
}

void append_utf8(std::string& text, char32_t c) {
  if (c < 0x80) {
    text += char(c);
    return;
  }
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  text += char((0xff00 >> (more + 1) & 0xff) | c >> (6 * more));
  for (int i = more - 1; i >= 0; --i) text += char(0x80 | (c >> (6 * i) & 0x3f));
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    if (c.valid)
      out += text.substr(0, c.length);
    else
      append_utf8(out, 0xfffd);
    text.remove_prefix(c.length);
  }
  return out;
}

}  // namespace dehvf
