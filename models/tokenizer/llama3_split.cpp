#include "models/tokenizer/llama3_split.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/text/unicode_table.h"
#include "core/text/utf8.h"

namespace dehvf {
namespace {

enum class Class : uint8_t { letter, number, newline, space, other };  // newline: \r and \n, which are \s too

Class class_of(char32_t c) {
  if (c == '\r' || c == '\n') return Class::newline;
  if (is_letter(c)) return Class::letter;
  if (is_number(c)) return Class::number;
  return is_space(c) ? Class::space : Class::other;
}

const std::array<Class, 128>& ascii_classes() {
  static const auto table = [] {
    std::array<Class, 128> classes;
    for (char32_t c = 0; c < 128; ++c) classes[c] = class_of(c);
    return classes;
  }();
  return table;
}

// Code points by index: where each begins and its class.
struct Characters {
  std::string_view text;
  std::vector<size_t> begins;  // one more than there are characters
  std::vector<Class> classes;

  explicit Characters(std::string_view t) : text(t) {
    begins.reserve(t.size() + 1);
    classes.reserve(t.size());
    const auto& ascii = ascii_classes();
    for (size_t at = 0; at < t.size();) {
      const CodePoint c = first_code_point(t.substr(at));
      begins.push_back(at);
      classes.push_back(c.value < 128 ? ascii[c.value] : class_of(c.value));
      at += c.length;
    }
    begins.push_back(t.size());
  }

  size_t size() const { return classes.size(); }
  bool is(size_t i, Class wanted) const { return i < size() && classes[i] == wanted; }
  bool is_white(size_t i) const { return is(i, Class::space) || is(i, Class::newline); }
  size_t run_end(size_t i, Class wanted) const {
    while (is(i, wanted)) ++i;
    return i;
  }

  // Characters of (?i:'s|'t|'re|'ve|'m|'ll|'d) at i, else 0.
  size_t contraction(size_t i) const {
    const std::string_view rest = text.substr(begins[i], 3);
    if (rest.size() < 2 || rest[0] != '\'') return 0;
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; };
    const char a = lower(rest[1]), b = rest.size() > 2 ? lower(rest[2]) : '\0';
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if (rest.substr(1) == "\u017f") return 2;  // the long s, which folds to s
    return (b == 'e' && (a == 'r' || a == 'v')) || (a == 'l' && b == 'l') ? 3 : 0;
  }

  // One past the last character of the match at i: the alternatives of kLlama3Regex in their order.
  size_t match_end(size_t i) const {
    if (const size_t length = contraction(i)) return i + length;
    const bool may_lead = is(i, Class::space) || is(i, Class::other);
    if (is(i, Class::letter) || (may_lead && is(i + 1, Class::letter))) return run_end(i + 1, Class::letter);
    if (is(i, Class::number)) return std::min(run_end(i, Class::number), i + 3);
    const size_t first = i + (text[begins[i]] == ' ' ? 1 : 0);
    if (is(first, Class::other)) return run_end(run_end(first, Class::other), Class::newline);
    return white_end(i);
  }

  // \s*[\r\n]+ ends behind the last newline of the run; \s+(?!\S) leaves the last space to the word behind
  // it.
  size_t white_end(size_t i) const {
    size_t end = i, behind_newline = i;
    for (; is_white(end); ++end)
      if (classes[end] == Class::newline) behind_newline = end + 1;
    if (behind_newline > i) return behind_newline;
    return end == size() || end == i + 1 ? end : end - 1;
  }
};

}  // namespace

std::vector<std::string_view> llama3_split(std::string_view text) {
  const Characters characters(text);
  std::vector<std::string_view> words;
  for (size_t i = 0; i < characters.size();) {
    const size_t end = characters.match_end(i);
    const size_t begin = characters.begins[i];
    words.push_back(text.substr(begin, characters.begins[end] - begin));
    i = end;
  }
  return words;
}

}  // namespace dehvf
