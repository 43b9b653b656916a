#include <algorithm>

#include "data/scorers/ptb_rules.h"
#include "data/scorers/unicode_text.h"

namespace dehvf {
namespace {

using Text = std::u32string_view;

bool is_capital(char32_t c) { return c >= 'A' && c <= 'Z'; }
bool is_vowel(char32_t c) { return is_one_of(to_lower(c), U"aeiou"); }
bool is_ascii_word(char32_t c) { return is_ascii_letter(c) || is_ptb_digit(c); }

// Length of "'s", "'d", "'m", "'ll", "'re" or "'ve" there, 0 if none.
size_t suffix_length(Text text, size_t from) {
  if (!is_ptb_apostrophe(at(text, from))) return 0;
  const size_t end = end_of(text, from + 1, is_ptb_letter);
  if (end > from + 3) return 0;
  const std::u32string letters = ptb_key(text.substr(from + 1, end - from - 1));
  for (const Text suffix : {Text(U"s"), Text(U"d"), Text(U"m"), Text(U"ll"), Text(U"re"), Text(U"ve")})
    if (letters == suffix) return end - from;
  return 0;
}

// "dog", "o'lantern", "p.m."
size_t part_end(Text text, size_t from) {
  size_t initials = from;
  while (is_ascii_letter(at(text, initials)) && at(text, initials + 1) == '.') initials += 2;
  if (initials >= from + 4) return initials;
  const size_t end = end_of(text, from, is_ptb_word);
  if (end != from + 1 || !is_ptb_apostrophe(at(text, end)) || !is_one_of(to_lower(text[from]), U"dlo"))
    return end;
  const size_t elided = end_of(text, end + 1, is_ptb_letter);
  return elided >= end + 3 ? elided : end;
}

// Parts joined by single hyphens and underscores: "black-and-white", "a_b"; before hyphens the first may have
// periods and commas: "U.S.-made", "1,000-ft".
size_t compound_length(Text text) {
  const auto joined_end = [&](size_t end, Text joints) {
    while (is_one_of(at(text, end), joints) && is_ptb_word(at(text, end + 1))) end = part_end(text, end + 1);
    return end;
  };
  const size_t first = part_end(text, 0);
  if (first == 0) return 0;
  const size_t dotted =
      end_of(text, first, [](char32_t c) { return is_ptb_word(c) || c == '.' || c == ','; });
  const size_t hyphened = joined_end(dotted, U"-");
  return std::max(joined_end(first, U"-_"), hyphened > dotted ? hyphened : 0);
}

// "bus.The", "what?no"
size_t dotted_length(Text text) {
  if (!is_ptb_letter(at(text, 0))) return 0;
  size_t end = end_of(text, 0, is_ptb_word);
  while (is_one_of(at(text, end), U".?!") && is_ptb_letter(at(text, end + 1)))
    end = end_of(text, end + 1, is_ptb_word);
  return end;
}

// Two or three parts between slashes: "and/or", "12/25/2010", "black-and-white/color".
size_t slashed_length(Text text) {
  const auto end_of_part = [&](size_t from) {
    size_t end = end_of(text, from, is_ascii_word);
    while (end > from && at(text, end) == '-' && is_ascii_letter(at(text, end + 1)))
      end = end_of(text, end + 1, is_ascii_letter);
    return end;
  };
  size_t end = end_of_part(0);
  int parts = end > 0;
  while (parts > 0 && parts < 3 && at(text, end) == '/' && is_ascii_word(at(text, end + 1)))
    end = end_of_part(end + 1), ++parts;
  return parts > 1 ? end : 0;
}

// "AT&T"
size_t ampersand_length(Text text) {
  const size_t end = end_of(text, 0, is_capital);
  if (end == 0 || at(text, end) != '&') return 0;
  const size_t next = begins_with(text.substr(end), U"&amp;") ? end + 5 : end + 1;
  const size_t last = end_of(text, next, is_capital);
  return last > next ? last : 0;
}

// Two words written as one: "can" of "cannot".
PtbMatch first_of_two(Text text) {
  const size_t end = end_of(text, 0, is_ptb_letter);
  for (const Text word :
       {Text(U"cannot"), Text(U"gonna"), Text(U"gotta"), Text(U"wanna"), Text(U"gimme"), Text(U"lemme")})
    if (end == word.size() && begins_with(text, word)) return {.length = 3, .seen = end};
  return {};
}

// "do" of "don't", and "n't"
PtbMatch before_not(Text text) {
  const size_t end = end_of(text, 0, is_ptb_letter);
  if (end == 0 || to_lower(text[end - 1]) != 'n' || !is_ptb_apostrophe(at(text, end))) return {};
  if (to_lower(at(text, end + 1)) != 't') return {};
  return {.length = end == 1 ? 3 : end - 1, .seen = end + 2};
}

PtbMatch prefix(Text text) {
  if (begins_with(text, U"anti-")) return {.length = 5};
  return {.length = size_t(begins_with(text, U"pro-") ? 4 : 0)};
}

// "O'Brien", "l'eau", "d'", "y'" of "y'all", "Qu'est"
PtbMatch elision(Text text) {
  const size_t quote = end_of(text, 0, is_ptb_letter);
  if (quote == 0 || !is_ptb_apostrophe(at(text, quote))) return {};
  const size_t end = end_of(text, quote + 1, is_ptb_letter);
  const char32_t before = to_lower(text[quote - 1]), after = at(text, quote + 1);
  if (quote == 1) {
    const bool name = is_capital(text[0]) && !is_one_of(before, U"ijy");
    if (end >= 4 && (name || is_one_of(before, U"dlno"))) return {.length = end};
    return {.length = size_t(is_one_of(before, U"djl") || (before == 'y' && end > 2) ? 2 : 0)};
  }
  const bool open = (is_vowel(before) || before == 'y') && (is_capital(after) || is_vowel(after));
  return {.length = open ? end : 0};
}

// Words that are spelled with an apostrophe.
PtbMatch spelled_with_apostrophe(Text text) {
  static constexpr Text kWords[] = {U"'em",   U"'til",      U"'till",   U"'cause",  U"'n'",   U"'n",
                                    U"ol'",   U"somethin'", U"dunkin'", U"o'clock", U"ma'am", U"li'l",
                                    U"cap'n", U"e'er",      U"ne'er",   U"o'er",    U"ev'ry", U"nat'l",
                                    U"c'mon", U"c'est",     U"s'mores"};
  PtbMatch match;
  if (text.substr(0, 9).find_first_of(U"'’") == text.npos) return match;
  for (const Text word : kWords)
    if (begins_with(text, word)) match = better(match, {.length = word.size()});
  return match;
}

// "'t" of "'tis" and "'twas"
PtbMatch before_it(Text text) {
  if (at(text, 0) != '\'') return {};
  if (begins_with(text, U"'tis")) return {.length = 2, .seen = 4};
  return begins_with(text, U"'twas") ? PtbMatch{.length = 2, .seen = 5} : PtbMatch{};
}

// "'90s", "'90 "
PtbMatch years(Text text) {
  if (!is_ptb_apostrophe(at(text, 0)) || end_of(text, 1, is_ptb_digit) != 3) return {};
  if (to_lower(at(text, 3)) == 's') return {.length = 4};
  return {.length = size_t(text.size() == 3 || is_ptb_space(text[3]) ? 3 : 0)};
}

// "'" before a word of more than one letter, or in front of more than a letter
PtbMatch opening_quote(Text text) {
  if (at(text, 0) != '\'' || !is_ascii_letter(at(text, 1)) || text.size() < 3 || is_ptb_space(text[2]))
    return {};
  return {.length = 1, .seen = 3};
}

}  // namespace

PtbMatch match_ptb_word(Text text) {
  PtbMatch match = better(better(before_not(text), first_of_two(text)), prefix(text));
  const size_t plain = end_of(text, 0, is_ptb_word);
  if (plain == 0) return match;
  match = better(match, {.length = plain, .seen = plain + suffix_length(text, plain)});
  const size_t joined = std::max({compound_length(text), dotted_length(text), ampersand_length(text)});
  match = better(match, {.length = joined});
  // A period before other punctuation cannot end the sentence.
  if (joined > 0 && text[joined - 1] != '.' && at(text, joined) == '.' &&
      is_one_of(at(text, joined + 1), U",;:"))
    match = better(match, {.length = joined + 1, .seen = joined + 2});
  return better(match, {.length = slashed_length(text)});
}

PtbMatch match_ptb_apostrophe(Text text) {
  PtbMatch match = spelled_with_apostrophe(text);
  if (const size_t suffix = suffix_length(text, 0))
    match = better(match, {.length = suffix, .seen = suffix + 1});
  for (const auto rule : {elision, before_it, years, opening_quote}) match = better(match, rule(text));
  return match;
}

}  // namespace dehvf
