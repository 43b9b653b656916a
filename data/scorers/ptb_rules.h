// The kinds of tokens of the Penn Treebank's way of cutting English text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dehvf {

/// Code points that a token takes; none if the text does not begin with one of this kind.
struct PtbMatch {
  size_t length = 0;
  size_t seen = 0;             // with what had to follow it, where that counts
  bool ends_sentence = false;  // an abbreviation whose period is also that of its sentence

  size_t reach() const { return seen > length ? seen : length; }
};

/// The one that reaches further, of equals the first.
inline PtbMatch better(PtbMatch a, PtbMatch b) { return b.reach() > a.reach() ? b : a; }

/// The token at the beginning of `text`, which is not empty: of all kinds the one that reaches furthest, of
/// equals the first of this list. Every character is at least a mark.
PtbMatch next_ptb_token(std::u32string_view text);

PtbMatch match_ptb_abbreviation(std::u32string_view text);  // "Mr.", "etc.", "no." before "5", "p.m."
PtbMatch match_ptb_word(std::u32string_view text);          // "dog", "black-and-white", "bus.The", "and/or"
PtbMatch match_ptb_apostrophe(std::u32string_view text);    // "'s", "O'Brien", "'t" before "is", "'90s"
PtbMatch match_ptb_number(std::u32string_view text);        // "1,000", "10:30", "5 1/2"
PtbMatch match_ptb_address(std::u32string_view text);       // "http://...", "a@b", "1.jpg", "#tag", "<b>"
PtbMatch match_ptb_mark(std::u32string_view text);          // "--", "...", "!!", ":)", ","

bool is_ascii_letter(char32_t c);
bool is_ptb_digit(char32_t c);       // of ASCII
bool is_ptb_letter(char32_t c);      // with its accents, soft hyphens and hyphens that never break
bool is_ptb_word(char32_t c);        // a letter or a digit
bool is_ptb_space(char32_t c);       // also a line break and the no-break space
bool is_ptb_apostrophe(char32_t c);  // "'" and its curly form

inline bool is_one_of(char32_t c, std::u32string_view set) { return c != 0 && set.find(c) != set.npos; }

/// The character there, 0 beyond the end.
inline char32_t at(std::u32string_view text, size_t i) { return i < text.size() ? text[i] : 0; }

/// Where the characters of one kind that begin at `from` end.
template <class Is>
size_t end_of(std::u32string_view text, size_t from, Is is) {
  while (from < text.size() && is(text[from])) ++from;
  return from;
}

/// In lower case and with straight apostrophes.
std::u32string ptb_key(std::u32string_view text);
/// Whether `text` begins with `start`, which is a key.
bool begins_with(std::u32string_view text, std::u32string_view start);

}  // namespace dehvf
