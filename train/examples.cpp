#include "train/examples.h"

#include <algorithm>
#include <charconv>

#include "core/io/file.h"

namespace dehvf {
namespace {

int64_t number_of(const std::string& id) {
  int64_t number = 0;
  std::from_chars(id.data(), id.data() + id.size(), number);
  return number;
}

// The end of `prompt` that leaves room for `rest` more tokens; its first token (a bos) is kept.
std::vector<int32_t> fit(std::vector<int32_t> prompt, int64_t rest, int64_t limit) {
  const int64_t excess = int64_t(prompt.size()) + rest - limit;
  if (excess > 0 && int64_t(prompt.size()) > excess + 1)
    prompt.erase(prompt.begin() + 1, prompt.begin() + 1 + excess);
  return prompt;
}

Example labelled(const std::string& prompt, std::vector<int32_t> answer, const Tokenizer& tokenizer,
                 int64_t max_tokens, const std::string& what) {
  if (tokenizer.eos() >= 0) answer.push_back(tokenizer.eos());
  require<ConfigError>(!answer.empty() && int64_t(answer.size()) < max_tokens, what, ": ", answer.size(),
                       " labelled tokens, wanted 1 to ", max_tokens - 1);
  Example example;
  example.tokens = fit(tokenizer.encode(prompt, tokenizer.bos() >= 0), int64_t(answer.size()), max_tokens);
  example.labels.assign(example.tokens.size(), kIgnored);
  example.tokens.insert(example.tokens.end(), answer.begin(), answer.end());
  example.labels.insert(example.labels.end(), answer.begin(), answer.end());
  return example;
}

}  // namespace

int32_t Pictures::add(const Problem& problem) {
  if (problem.image.empty()) return -1;
  paths.push_back(problem.image);
  return int32_t(paths.size()) - 1;
}

Example training_example(const Problem& problem, const Tokenizer& tokenizer, const PromptOptions& options) {
  const PromptText text = build_prompt(problem, options.format, options.captions);
  Example example = labelled(text.prompt, tokenizer.encode(text.answer_text, false), tokenizer,
                             options.max_tokens, "problem " + problem.id);
  example.id = number_of(problem.id);
  return example;
}

std::vector<int32_t> answer_tokens(const std::string& answer, const Tokenizer& tokenizer) {
  // The tokenizers of LLaMA-1 and 2 put the space before a word by themselves.
  const std::string kind = tokenizer.kind();
  return tokenizer.encode((kind == "rank text" || kind == "byte-level bpe" ? " " : "") + answer, false);
}

Example training_example(const std::string& prompt, const std::string& answer, const Tokenizer& tokenizer,
                         int64_t max_tokens, const std::string& what) {
  return labelled(prompt, answer_tokens(answer, tokenizer), tokenizer, max_tokens, what);
}

Example training_example(const Conversation& conversation, const Tokenizer& tokenizer, int64_t max_tokens) {
  Example example;
  const auto add = [&](const std::vector<int32_t>& tokens, bool labelled) {
    for (const int32_t token : tokens) {
      if (int64_t(example.tokens.size()) == max_tokens) return;
      example.tokens.push_back(token);
      example.labels.push_back(labelled ? token : kIgnored);
    }
  };
  for (const ConversationPart& part : vicuna_v1(conversation)) {
    add(tokenizer.encode(part.prompt, example.tokens.empty() && tokenizer.bos() >= 0), false);
    if (part.answer.empty()) continue;
    add(answer_tokens(part.answer, tokenizer), true);
    if (tokenizer.eos() >= 0) add({tokenizer.eos()}, true);
  }
  const bool learns = std::ranges::any_of(example.labels, [](int32_t label) { return label != kIgnored; });
  require<ConfigError>(learns, "conversation ", printable(conversation.id, 60),
                       ": no answer within prompt.max_tokens = ", max_tokens, "; nothing would be learned");
  return example;
}

Question make_question(const Problem& problem, const Tokenizer& tokenizer, const PromptOptions& options) {
  Question question{.answer = problem.answer, .id = number_of(problem.id)};
  int64_t longest = 0;
  for (const std::string& choice : choice_texts(problem, options.format)) {
    question.choices.push_back(tokenizer.encode(choice, false));
    longest = std::max(longest, int64_t(question.choices.back().size()));
  }
  const PromptText text = build_prompt(problem, options.format, options.captions);
  question.lead_in = tokenizer.encode(text.lead_in, false);
  longest = std::max(longest, int64_t(question.lead_in.size()) + 1);
  question.prompt = fit(tokenizer.encode(text.prompt, tokenizer.bos() >= 0), longest, options.max_tokens);
  return question;
}

Question make_question(const std::string& prompt, int64_t room, const Tokenizer& tokenizer,
                       int64_t max_tokens) {
  Question question;
  question.prompt = fit(tokenizer.encode(prompt, tokenizer.bos() >= 0), room, max_tokens);
  return question;
}

}  // namespace dehvf
