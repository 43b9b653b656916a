// The texts put before a language model for a multiple-choice problem, and those it is taught to answer with.
// The forms are those of the published runs: QCM-A (MemVP), QCM-ALE (LaVIN), CQM-A and QCM-LEA (LLaVA).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/scienceqa.h"

namespace dehvf {

/// Letters before the dash: order of question, context and options (M). After it: answer, lecture,
/// explanation. LLaVA's turns of user and assistant are written as one text with an "Answer:" line between
/// them, as ScienceQA itself does. `word` is for models too small to copy a letter: no options; the answer is
/// a choice's own words.
enum class PromptFormat { qcm_a, qcm_ale, cqm_a, qcm_lea, word };

PromptFormat prompt_format(
    std::string_view name);  // "QCM-A", ..., "word"; throws ConfigError naming them all
std::string_view prompt_format_name(PromptFormat format);

/// Texts are concatenated as they are: each brings its own white space.
struct PromptText {
  std::string prompt;       // no loss on these
  std::string answer_text;  // to be learned, followed by the end of the sequence
  std::string
      lead_in;  // put after the prompt when a model generates; empty where the published runs had none
};

/// `use_caption` adds the problem's caption to the context. Pictures leave no mark in the text: an operator
/// that puts tokens into the sequence knows their place.
PromptText build_prompt(const Problem& problem, PromptFormat format, bool use_caption);

/// What follows the prompt for each choice, without lecture and explanation: texts to rank by their
/// likelihood.
std::vector<std::string> choice_texts(const Problem& problem, PromptFormat format);

}  // namespace dehvf
