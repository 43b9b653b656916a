#include <algorithm>

#include "data/scorers/ptb_rules.h"

namespace dehvf {
namespace {

using Text = std::u32string_view;

bool is_outside_address(char32_t c) { return is_ptb_space(c) || is_one_of(c, U"\"<>|(){}"); }
bool is_ascii_word(char32_t c) { return is_ascii_letter(c) || is_ptb_digit(c); }

// Where the address that goes on at `from` ends, without punctuation after it.
size_t address_end(Text text, size_t from) {
  size_t end = end_of(text, from, [](char32_t c) { return !is_outside_address(c); });
  while (end > from && is_one_of(text[end - 1], U".,!?-")) --end;
  return end;
}

// "http://a.b/c"
size_t url_length(Text text) {
  const size_t scheme = begins_with(text, U"http://") ? 7 : begins_with(text, U"https://") ? 8 : 0;
  if (scheme == 0) return 0;
  const size_t end = address_end(text, scheme);
  return end >= scheme + 2 ? end : 0;
}

// "www.a.b", "a.com/bc"
size_t site_length(Text text) {
  const auto is_name = [](char32_t c) { return is_ptb_word(c) || c == '-' || c == '_'; };
  size_t last = 0, end = end_of(text, 0, is_name);
  while (at(text, end) == '.' && is_name(at(text, end + 1)))
    last = end + 1, end = end_of(text, last, is_name);
  if (last == 0) return 0;
  const bool www = begins_with(text, U"www.");
  const Text top = text.substr(last, end - last);
  const bool known = top == U"com" || top == U"net" || top == U"org" || top == U"edu";
  const size_t path = at(text, end) == '/' && (www || known) ? address_end(text, end + 1) : 0;
  if (path >= end + 3) return path;
  return www ? end : 0;
}

// "a@b.c"
size_t mail_length(Text text) {
  constexpr size_t kLongestName = 64;
  if (!is_ascii_word(at(text, 0))) return 0;
  const size_t name =
      end_of(text.substr(0, kLongestName), 0, [](char32_t c) { return !is_outside_address(c) && c != '@'; });
  if (at(text, name) != '@') return 0;
  const auto is_host = [](char32_t c) { return !is_outside_address(c) && c != '.'; };
  size_t end = end_of(text, name + 1, is_host);
  if (end == name + 1) return 0;
  while (at(text, end) == '.' && end_of(text, end + 1, is_host) > end + 1)
    end = end_of(text, end + 1, is_host);
  return end;
}

// "1.jpg"
size_t file_length(Text text) {
  static constexpr Text kTypes[] = {U"jpg", U"jpeg", U"png", U"gif", U"bmp", U"txt",  U"doc", U"pdf", U"html",
                                    U"htm", U"xml",  U"zip", U"gz",  U"tar", U"exe",  U"mp3", U"wav", U"mov",
                                    U"ppt", U"cpp",  U"c",   U"bat", U"php", U"java", U"py"};
  const size_t dot = end_of(text, 0, is_ascii_word);
  if (dot == 0 || at(text, dot) != '.') return 0;
  const size_t end = end_of(text, dot + 1, is_ptb_word);
  if (is_one_of(at(text, end), U"-_/'")) return 0;
  const bool known = std::ranges::count(kTypes, ptb_key(text.substr(dot + 1, end - dot - 1))) > 0;
  return known ? end : 0;
}

// "#tag", "@name"
size_t tag_length(Text text) {
  if (at(text, 0) == '#' && is_ptb_letter(at(text, 1))) return end_of(text, 1, is_ptb_letter);
  if (at(text, 0) != '@' || is_ptb_digit(at(text, 1))) return 0;
  const size_t end = end_of(text, 1, [](char32_t c) { return is_ascii_word(c) || c == '_'; });
  return end > 1 ? end : 0;
}

// "<b>", "</b>"
size_t markup_length(Text text) {
  if (at(text, 0) != '<') return 0;
  const size_t name = at(text, 1) == '/' ? 2 : 1;
  if (!is_ascii_letter(at(text, name))) return 0;
  const size_t end = end_of(text, name, [](char32_t c) { return !is_ptb_space(c) && c != '<' && c != '>'; });
  return at(text, end) == '>' ? end + 1 : 0;
}

// "&amp;"
size_t entity_length(Text text) {
  if (at(text, 0) != '&') return 0;
  for (const Text name : {Text(U"&amp;"), Text(U"&lt;"), Text(U"&gt;"), Text(U"&quot;"), Text(U"&apos;")})
    if (begins_with(text, name)) return name.size();
  return 0;
}

// "C++", "c#"
size_t language_length(Text text) {
  if (begins_with(text, U"c++")) return 3;
  return begins_with(text, U"c#") || begins_with(text, U"f#") ? 2 : 0;
}

// "US$"
size_t dollar_length(Text text) {
  const size_t end = end_of(text, 0, [](char32_t c) { return c >= 'A' && c <= 'Z'; });
  return (end == 1 || end == 2) && at(text, end) == '$' ? end + 1 : 0;
}

}  // namespace

PtbMatch match_ptb_address(Text text) {
  return {.length = std::max({url_length(text), site_length(text), mail_length(text), file_length(text),
                              tag_length(text), markup_length(text), entity_length(text),
                              language_length(text), dollar_length(text)})};
}

}  // namespace dehvf
