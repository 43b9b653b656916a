#include "data/prompt.h"

#include <array>

#include "core/error.h"
#include "core/io/file.h"

namespace dehvf {
namespace {

constexpr std::array<std::string_view, 5> kNames{"QCM-A", "QCM-ALE", "CQM-A", "QCM-LEA", "word"};

std::string strip(const std::string& text) {
  constexpr const char* kSpace = " \t\n\r\f\v";
  const size_t first = text.find_first_not_of(kSpace);
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// Pairs of spaces become one, in a single pass as in the published code: three spaces leave two.
std::string collapse(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    result += text[i];
    if (text.compare(i, 2, "  ") == 0) ++i;
  }
  return strip(result);
}

// Lectures and explanations keep to one line: a newline is written as backslash and n.
std::string one_line(const std::string& text) {
  std::string result;
  for (char c : text)
    if (c == '\n')
      result += "\\n";
    else
      result += c;
  return result;
}

std::string context_of(const Problem& problem, bool use_caption) {
  return strip(use_caption ? problem.hint + " " + problem.caption : problem.hint);
}

char letter(size_t choice) { return char('A' + choice); }

std::string sentence(size_t choice) { return concat("The answer is ", letter(choice), "."); }

std::string options_of(const Problem& problem) {
  std::string options;
  for (size_t i = 0; i < problem.choices.size(); ++i)
    options += concat(i == 0 ? "" : " ", "(", letter(i), ") ", problem.choices[i]);
  return options;
}

bool is_llava(PromptFormat format) {
  return format == PromptFormat::cqm_a || format == PromptFormat::qcm_lea;
}

std::string question_part(const Problem& problem, PromptFormat format, bool use_caption) {
  std::string context = context_of(problem, use_caption);
  if (format == PromptFormat::word)
    return concat(context.empty() ? "" : context + "\n", problem.question, "\nAnswer:");
  context = concat("Context: ", context.empty() ? "N/A" : context, "\n");
  const std::string question = concat("Question: ", problem.question, "\n");
  return concat(format == PromptFormat::cqm_a ? context + question : question + context,
                "Options: ", options_of(problem), "\n", is_llava(format) ? "Answer:" : "Response:");
}

std::string answer_part(const Problem& problem, PromptFormat format) {
  const auto answer = size_t(problem.answer);
  const std::string lecture = one_line(problem.lecture), solution = one_line(problem.solution);
  switch (format) {
    case PromptFormat::qcm_a:
      return sentence(answer);
    case PromptFormat::qcm_ale:
      return collapse(concat(sentence(answer), " BECAUSE: ", lecture, " ", solution));
    case PromptFormat::cqm_a:
      return concat(" ", sentence(answer));
    case PromptFormat::qcm_lea:
      // LLaVA turns the marks of line ends back into line ends.
      return concat(" ", collapse(concat(problem.lecture, " ", problem.solution, " ", sentence(answer))));
    case PromptFormat::word:
      return concat(" ", problem.choices[answer]);
  }
  fail<ConfigError>("prompt: unknown format");
}

}  // namespace

PromptFormat prompt_format(std::string_view name) {
  std::string known;
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return PromptFormat(i);
    known += concat(i == 0 ? "" : ", ", kNames[i]);
  }
  fail<ConfigError>("prompt format: wanted one of ", known, ", found '", printable(name, 60), "'");
}

std::string_view prompt_format_name(PromptFormat format) { return kNames[size_t(format)]; }

PromptText build_prompt(const Problem& problem, PromptFormat format, bool use_caption) {
  PromptText text{collapse(question_part(problem, format, use_caption)), answer_part(problem, format), ""};
  if (format == PromptFormat::qcm_a) text.lead_in = "The answer is";
  return text;
}

std::vector<std::string> choice_texts(const Problem& problem, PromptFormat format) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < problem.choices.size(); ++i)
    texts.push_back(format == PromptFormat::word ? concat(" ", problem.choices[i])
                                                 : concat(is_llava(format) ? " " : "", sentence(i)));
  return texts;
}

}  // namespace dehvf
