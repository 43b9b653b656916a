#include "data/scorers/unicode_text.h"

#include <algorithm>
#include <iterator>

#include "core/text/unicode_table.h"
#include "core/text/utf8.h"

namespace dehvf {
namespace {

struct Range {
  char32_t first, last;
};

template <size_t n>
bool within(const Range (&ranges)[n], char32_t c) {
  const auto found = std::ranges::lower_bound(ranges, c, {}, &Range::last);
  return found != std::end(ranges) && found->first <= c;
}

}  // namespace

std::u32string decode_utf8(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    out += c.value;
    text.remove_prefix(c.length);
  }
  return out;
}

std::string encode_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

char32_t to_lower(char32_t c) {
  static constexpr Range kBy32[] = {{'A', 'Z'},     {0xc0, 0xd6},   {0xd8, 0xde},
                                    {0x391, 0x3a1}, {0x3a3, 0x3ab}, {0x410, 0x42f}};
  static constexpr Range kEvenThenOdd[] = {{0x100, 0x12f}, {0x132, 0x137}, {0x14a, 0x177}};
  static constexpr Range kOddThenEven[] = {{0x139, 0x148}, {0x179, 0x17e}};
  if (within(kBy32, c)) return c + 32;
  if (c >= 0x400 && c <= 0x40f) return c + 80;
  if (c == 0x178) return 0xff;
  if (within(kEvenThenOdd, c)) return c | 1;
  return within(kOddThenEven, c) && c % 2 == 1 ? c + 1 : c;
}

std::string lower_case(std::string_view text) {
  std::u32string wide = decode_utf8(text);
  for (char32_t& c : wide) c = to_lower(c);
  return encode_utf8(wide);
}

bool is_white_space(char32_t c) { return is_space(c) || (c >= 0x1c && c <= 0x1f); }

std::string strip(std::string_view text) {
  const std::u32string wide = decode_utf8(text);
  const auto begin = std::find_if_not(wide.begin(), wide.end(), is_white_space);
  const auto end = std::find_if_not(wide.rbegin(), std::reverse_iterator(begin), is_white_space).base();
  return encode_utf8({begin, end});
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::u32string word;
  for (const char32_t c : decode_utf8(text)) {
    if (!is_white_space(c)) {
      word += c;
    } else if (!word.empty()) {
      words.push_back(encode_utf8(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(encode_utf8(word));
  return words;
}

}  // namespace dehvf
