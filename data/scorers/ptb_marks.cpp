#include <algorithm>

#include "data/scorers/ptb_rules.h"

namespace dehvf {
namespace {

using Text = std::u32string_view;

// "5 1/2", "3-1/2"
size_t mixed_fraction_length(Text text) {
  const auto end_of_number = [&](size_t from) {
    return end_of(text.substr(0, from + 4), from, is_ptb_digit);
  };
  const size_t whole = end_of_number(0);
  if (whole == 0 || !is_one_of(at(text, whole), U" \u00a0-")) return 0;
  const size_t top = end_of_number(whole + 1);
  if (top == whole + 1 || at(text, top) != '/') return 0;
  const size_t end = end_of_number(top + 1);
  return end > top + 1 ? end : 0;
}

// "1,000.5", "10:30", "+1", ".5"
size_t plain_number_length(Text text) {
  size_t end = end_of(text, is_one_of(at(text, 0), U"+-") ? 1 : 0, is_ptb_digit);
  while (is_one_of(at(text, end), U".,:") && is_ptb_digit(at(text, end + 1)))
    end = end_of(text, end + 1, is_ptb_digit);
  return end > 0 && is_ptb_digit(text[end - 1]) ? end : 0;
}

// ":)", ";-("
size_t smiley_length(Text text) {
  if (!is_one_of(at(text, 0), U":;=")) return 0;
  const size_t mouth = is_one_of(at(text, 1), U"-'") ? 2 : 1;
  return is_one_of(at(text, mouth), U")(DPp|[]") && !is_ptb_word(at(text, mouth + 1)) ? mouth + 1 : 0;
}

// Marks that stand together if they are equal: "----", "''", "<<"
size_t equal_marks_length(Text text) {
  const size_t run = end_of(text, 0, [&](char32_t c) { return c == text[0]; });
  if (is_one_of(text[0], U"_*#@-")) return run;
  return is_one_of(text[0], U"<>`'’›‘‹") ? std::min<size_t>(run, 2) : 0;
}

// "...", ". . ."
size_t dots_length(Text text) {
  const size_t run = end_of(text, 0, [](char32_t c) { return c == '.'; });
  size_t spaced = 1;
  while (at(text, spaced) == ' ' && at(text, spaced + 1) == '.') spaced += 2;
  if (run == 1 && spaced >= 5) return spaced;
  return run >= 3 ? std::min<size_t>(run, 5) : 0;
}

}  // namespace

PtbMatch match_ptb_number(Text text) {
  return {.length = std::max(mixed_fraction_length(text), plain_number_length(text))};
}

PtbMatch match_ptb_mark(Text text) {
  const size_t cries = end_of(text, 0, [](char32_t c) { return c == '!' || c == '?'; });
  return {.length =
              std::max({size_t(1), cries, dots_length(text), equal_marks_length(text), smiley_length(text)})};
}

}  // namespace dehvf
