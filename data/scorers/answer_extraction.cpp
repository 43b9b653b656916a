#include "data/scorers/answer_extraction.h"

#include <xxhash.h>

#include "core/error.h"
#include "core/random.h"

namespace dehvf {
namespace {

bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }

// The letters of every "The answer is X" with one more character after it on the line.
std::vector<char> sentence_letters(std::string_view text) {
  constexpr std::string_view kSentence = "The answer is ";
  std::vector<char> letters;
  for (size_t at = text.find(kSentence); at != text.npos; at = text.find(kSentence, at)) {
    at += kSentence.size();
    if (at + 1 >= text.size() || !is_capital(text[at]) || text[at + 1] == '\n') continue;
    letters.push_back(text[at]);
    at += 2;
  }
  return letters;
}

char llava_letter(std::string_view text) {
  constexpr std::string_view kLetters = "ABCDE";
  if (!text.empty() && kLetters.find(text[0]) != kLetters.npos &&
      (text.size() == 1 || text.substr(1, 2) == ". "))
    return text[0];
  const auto letters = sentence_letters(text);
  return letters.size() == 1 ? letters[0] : '\0';
}

char find_letter(std::string_view text, ExtractionRule rule) {
  if (rule == ExtractionRule::llava) return llava_letter(text);
  if (rule == ExtractionRule::lavin) {
    const auto letters = sentence_letters(text);
    return letters.empty() ? '\0' : letters[0];
  }
  for (char c : text)
    if (is_capital(c)) return c;
  return '\0';
}

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
}

std::optional<int> find_words(std::string_view text, const std::vector<std::string>& choices) {
  std::optional<int> found;
  for (size_t i = 0; i < choices.size(); ++i) {
    const std::string& choice = choices[i];
    const bool whole =
        text.starts_with(choice) && (text.size() == choice.size() || !is_word(text[choice.size()]));
    if (whole && (!found || choice.size() > choices[size_t(*found)].size())) found = int(i);
  }
  return found;
}

}  // namespace

std::optional<int> extract_answer(std::string_view text, int choices, ExtractionRule rule) {
  const char letter = find_letter(text, rule);
  if (letter == '\0' || letter - 'A' >= choices) return std::nullopt;
  return letter - 'A';
}

std::optional<int> extract_answer(std::string_view text, const std::vector<std::string>& choices,
                                  PromptFormat format) {
  const size_t first = text.find_first_not_of(" \t\n\r");
  text = first == text.npos ? "" : text.substr(first);
  if (format == PromptFormat::word) return find_words(text, choices);
  const ExtractionRule rule = format == PromptFormat::qcm_a     ? ExtractionRule::memvp
                              : format == PromptFormat::qcm_ale ? ExtractionRule::lavin
                                                                : ExtractionRule::llava;
  return extract_answer(text, int(choices.size()), rule);
}

int choice_or_random(std::optional<int> extracted, int choices, std::string_view id, uint64_t seed) {
  require<Error>(choices > 0, "choice_or_random: wanted at least one choice, found ", choices);
  if (extracted) return *extracted;
  return int(Random(random_key({seed, XXH3_64bits(id.data(), id.size())})).below(choices));
}

}  // namespace dehvf
