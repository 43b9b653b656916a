#include "data/scorers/ptb_tokenizer.h"

#include <algorithm>
#include <set>

#include "data/scorers/ptb_rules.h"
#include "data/scorers/unicode_text.h"

namespace dehvf {
namespace {

using Text = std::u32string_view;

// Control characters, emoji and the like, and what cannot be seen.
bool is_dropped(char32_t c) {
  const auto is_between = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
  return c < 0x20 || is_between(0x7f, 0x9f) || is_between(0x200b, 0x200f) || is_between(0x202a, 0x202e) ||
         is_between(0x2060, 0x206f) || is_between(0xe000, 0xf8ff) || c == 0xfeff || c >= 0xfffd;
}

// Tokens that are printed in the alphabet of the Treebank, and "n't" and its like with straight apostrophes.
Text in_treebank(Text token) {
  struct Pair {
    Text from, to;
  };
  static constexpr Pair kPairs[] = {
      {U"(", U"-lrb-"}, {U")", U"-rrb-"},  {U"[", U"-lsb-"},  {U"]", U"-rsb-"}, {U"{", U"-lcb-"},
      {U"}", U"-rcb-"}, {U"“", U"``"},     {U"«", U"``"},     {U"”", U"''"},    {U"»", U"''"},
      {U"‘", U"`"},     {U"‹", U"`"},      {U"’", U"'"},      {U"›", U"'"},     {U"‘‘", U"``"},
      {U"‹‹", U"``"},   {U"’’", U"''"},    {U"››", U"''"},    {U"–", U"--"},    {U"—", U"--"},
      {U"―", U"--"},    {U"---", U"--"},   {U"----", U"--"},  {U"…", U"..."},   {U"¢", U"cents"},
      {U"£", U"#"},     {U"€", U"$"},      {U"¤", U"$"},      {U"½", U"1/2"},   {U"¼", U"1/4"},
      {U"¾", U"3/4"},   {U"⅓", U"1/3"},    {U"⅔", U"2/3"},    {U"&amp;", U"&"}, {U"&lt;", U"<"},
      {U"&gt;", U">"},  {U"&apos;", U"'"}, {U"\u00ad", U"-"}, {U"’s", U"'s"},   {U"’d", U"'d"},
      {U"’m", U"'m"},   {U"’ll", U"'ll"},  {U"’re", U"'re"},  {U"’ve", U"'ve"}, {U"n’t", U"n't"}};
  const auto found = std::ranges::find(kPairs, token, &Pair::from);
  return found == std::end(kPairs) ? token : found->to;
}

// A straight quotation mark opens before a word.
Text quote(Text mark, Text rest) {
  const char32_t next = at(rest, 0);
  if (mark == U"'") return is_ascii_letter(next) && rest.size() > 1 && !is_ptb_space(rest[1]) ? U"`" : U"'";
  return is_ascii_letter(next) || is_ptb_digit(next) || next == '$' ? U"``" : U"''";
}

void replace_all(std::u32string& text, Text from, Text to) {
  for (size_t i = text.find(from); i != text.npos; i = text.find(from, i + to.size()))
    text.replace(i, from.size(), to);
}

std::u32string printed(Text token, Text rest) {
  if (token == U"'" || token == U"\"" || token == U"&quot;") return std::u32string(quote(token, rest));
  if (token.size() > 1 && token.find_first_not_of(U". ") == token.npos) return U"...";
  std::u32string result(token);
  for (char32_t& c : result) c = to_lower(c);
  result = in_treebank(result);
  std::erase(result, U'\u00ad');
  if (is_ascii_letter(token[0]) && token.find_first_of(U"/@") == token.npos)
    replace_all(result, U"&amp;", U"&");
  replace_all(result, U"(", U"-lrb-");
  replace_all(result, U")", U"-rrb-");
  std::ranges::replace(result, U' ', U'\u00a0');
  return result;
}

std::u32string joined_by_line_feeds(std::span<const std::string> lines) {
  std::u32string all;
  for (const std::string& line : lines) {
    std::u32string text = decode_utf8(line);
    std::ranges::replace_if(
        text, [](char32_t c) { return is_one_of(c, U"\n\r\u0085\u2028\u2029"); }, U' ');
    all += text + U'\n';
  }
  return all;
}

}  // namespace

std::vector<std::string> ptb_tokens(std::span<const std::string> lines) {
  const std::u32string all = joined_by_line_feeds(lines);
  std::vector<std::string> result(lines.size());
  size_t line = 0;
  constexpr size_t kWindow = 1000;  // so that the time is linear in the length
  for (Text text = all; !text.empty();) {
    if (is_ptb_space(text[0]) || is_dropped(text[0])) {
      line += text[0] == '\n';
      text.remove_prefix(1);
      continue;
    }
    const PtbMatch match = next_ptb_token(text.substr(0, kWindow));
    const Text token = text.substr(0, match.length);
    text.remove_prefix(match.length);
    std::string& tokens = result[line];
    if (!tokens.empty()) tokens += ' ';
    tokens += encode_utf8(printed(token, text));
    if (match.ends_sentence) tokens += " .";
  }
  return result;
}

std::vector<std::string> caption_tokens(std::span<const std::string> captions) {
  static const std::set<std::string_view> kLeftOut{"''", "'", "``", "`",  ".",   "?", "!",
                                                   ",",  ":", "-",  "--", "...", ";"};
  std::vector<std::string> result = ptb_tokens(captions);
  for (std::string& tokens : result) {
    std::string kept;
    for (size_t from = 0; from < tokens.size();) {
      const size_t end = std::min(tokens.find(' ', from), tokens.size());
      const auto token = std::string_view(tokens).substr(from, end - from);
      if (!kLeftOut.contains(token)) kept.append(kept.empty() ? "" : " ").append(token);
      from = end + 1;
    }
    tokens = std::move(kept);
  }
  return result;
}

}  // namespace dehvf
