#include "data/scorers/ptb_rules.h"

#include <algorithm>

#include "core/text/unicode_table.h"
#include "data/scorers/unicode_text.h"

namespace dehvf {

PtbMatch next_ptb_token(std::u32string_view text) {
  PtbMatch match;
  for (const auto rule : {match_ptb_abbreviation, match_ptb_word, match_ptb_apostrophe, match_ptb_number,
                          match_ptb_address, match_ptb_mark})
    match = better(match, rule(text));
  return match;
}

bool is_ascii_letter(char32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_ptb_digit(char32_t c) { return c >= '0' && c <= '9'; }

bool is_ptb_letter(char32_t c) {
  const bool accent = c >= 0x300 && c <= 0x36f, hyphen = c == 0xad || c == 0x2010 || c == 0x2011;
  return accent || hyphen || (c <= 0xffff && is_letter(c));
}

bool is_ptb_word(char32_t c) { return is_ptb_digit(c) || is_ptb_letter(c); }

bool is_ptb_space(char32_t c) { return is_white_space(c); }

bool is_ptb_apostrophe(char32_t c) { return c == '\'' || c == U'’'; }

std::u32string ptb_key(std::u32string_view text) {
  std::u32string key(text);
  for (char32_t& c : key) c = is_ptb_apostrophe(c) ? U'\'' : to_lower(c);
  return key;
}

bool begins_with(std::u32string_view text, std::u32string_view start) {
  return text.size() >= start.size() && ptb_key(text.substr(0, start.size())) == start;
}

}  // namespace dehvf
