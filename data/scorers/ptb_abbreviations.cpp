#include <set>

#include "data/scorers/ptb_rules.h"
#include "data/scorers/unicode_text.h"

namespace dehvf {
namespace {

using Text = std::u32string_view;
using Words = std::set<std::u32string>;

Words words(const char* list) {
  Words result;
  for (const std::string& word : words_of(list)) result.insert(decode_utf8(word));
  return result;
}

bool is_upper(char32_t c) { return to_lower(c) != c; }

bool is_title(const std::u32string& word) {
  static const Words kWords = words(
      "mr mrs ms mme mlle messrs msgr dr drs prof profs rev hon gov pres rep reps sen sens supt atty asst "
      "gen maj col lt lieut capt cmdr cpl sgt adm brig pvt pfc st ste mt ft ave vs v cf adj adv dept assoc "
      "wm");
  return kWords.contains(word);
}

// Companies, streets, months, days and states; what may end a sentence.
bool is_ending(const std::u32string& word, bool capital) {
  static const Words kWords = words(
      "co cos corp inc ltd bros plc pty pte intl assn univ bldg blvd rd rt ct jr sr esq etc est al ext tel "
      "sq "
      "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri "
      "ala ariz calif colo conn dak fla ga ind kan ky md mich minn mo mont neb nev okla penn tenn va vt wis "
      "wyo");
  static const Words kCapitalised = words("ark az del ill la mass miss ore pa tex wash");
  return kWords.contains(word) || (capital && kCapitalised.contains(word));
}

bool is_before_number(const std::u32string& word) {
  static const Words kWords = words("no nos art fig figs pp op ca");
  return kWords.contains(word);
}

// Whether after white space a word follows that often begins a sentence, with a capital.
bool sentence_begins(Text text) {
  static const Words kWords = words(
      "the a an this that these there then their it in at as he she we you they if so but one some many "
      "about what when while since such our her here now once yet last more other after however according "
      "earlier additionally mr. ms.");
  const size_t from = end_of(text, 0, is_ptb_space);
  if (from == 0 || !is_upper(at(text, from))) return false;
  const size_t end = end_of(text, from, [](char32_t c) { return is_ascii_letter(c) || c == '.'; });
  return is_ptb_space(at(text, end)) && kWords.contains(ptb_key(text.substr(from, end - from)));
}

// "p.m.", "U.S.A."; a single initial leaves its period to the sentence where the next one begins.
PtbMatch initials(Text text) {
  size_t end = 0;
  while (is_ascii_letter(at(text, end)) && at(text, end + 1) == '.') end += 2;
  const bool ends = sentence_begins(text.substr(end));
  if (end == 2 && ends) return {.length = 1, .seen = end + 1};
  return {.length = end, .ends_sentence = ends};
}

// Its sentence ends before a capital, and before more than one space.
PtbMatch ending(Text text, size_t length) {
  const char32_t next = at(text, length), second = at(text, length + 1);
  if (next == 0 || is_ptb_word(next)) return {.length = length};
  const bool ends = is_ptb_space(next) && (is_ptb_space(second) || is_upper(second));
  return {.length = length, .seen = length + 2, .ends_sentence = ends};
}

}  // namespace

PtbMatch match_ptb_abbreviation(Text text) {
  if (begins_with(text, U"ph.d.")) return ending(text, 5);
  const size_t period = end_of(text, 0, is_ascii_letter), length = period + 1;
  if (period == 0 || at(text, period) != '.') return {};
  if (period == 1) return initials(text);
  const std::u32string word = ptb_key(text.substr(0, period));
  if (is_before_number(word)) {
    const size_t number = length + is_one_of(at(text, length), U" \n");
    if (is_ptb_digit(at(text, number))) return {.length = length, .seen = number + 1};
  }
  if (is_ending(word, is_upper(text[0]))) return ending(text, length);
  return {.length = is_title(word) ? length : 0};
}

}  // namespace dehvf
