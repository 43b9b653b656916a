// Problems as a language model reads them: token ids, labels and the picture they belong to.
#pragma once

#include <string>
#include <vector>

#include "data/conversations.h"
#include "data/prompt.h"
#include "data/scienceqa.h"
#include "layers/batch.h"
#include "models/tokenizer.h"

namespace dehvf {

struct Example {
  std::vector<int32_t> tokens, labels;  // labels are kIgnored outside the answer
  int32_t image = -1;                   // which of a PictureSource's, or -1
  int64_t id = 0;                       // names its random numbers
};

struct PromptOptions {
  PromptFormat format = PromptFormat::qcm_a;
  bool captions = false;
  int64_t max_tokens = 512;
};

/// Prompt and answer with the end of the sequence; only the answer and the end are labelled. Longer ones lose
/// the beginning of their prompt, never the answer. Throws ConfigError when nothing would be labelled.
Example training_example(const Problem& problem, const Tokenizer& tokenizer, const PromptOptions& options);

/// The tokens of an answer behind a prompt: a space stands before its first word.
std::vector<int32_t> answer_tokens(const std::string& answer, const Tokenizer& tokenizer);

/// The same of a prompt and its answer; `what` begins the message.
Example training_example(const std::string& prompt, const std::string& answer, const Tokenizer& tokenizer,
                         int64_t max_tokens, const std::string& what);

/// All turns in the template vicuna_v1; the answers and the ends behind them are labelled. What goes beyond
/// `max_tokens` is cut off at the end. Throws ConfigError when nothing would be labelled.
Example training_example(const Conversation& conversation, const Tokenizer& tokenizer, int64_t max_tokens);

/// A question to be answered by ranking its choices or by writing.
struct Question {
  std::vector<int32_t> prompt, lead_in;       // lead_in: behind the prompt when an answer is written
  std::vector<std::vector<int32_t>> choices;  // the tokens that follow the prompt
  int answer = 0;
  int32_t image = -1;
  int64_t id = 0;
};
Question make_question(const Problem& problem, const Tokenizer& tokenizer, const PromptOptions& options);

/// One to be answered by writing, with room for `room` tokens.
Question make_question(const std::string& prompt, int64_t room, const Tokenizer& tokenizer,
                       int64_t max_tokens);

/// The pictures that a list of problems needs, in order; sets Example::image / Question::image accordingly.
struct Pictures {
  std::vector<std::filesystem::path> paths;
  int32_t add(const Problem& problem);  // index, or -1 for a text-only problem
};

}  // namespace dehvf
