// From a generated text to the index of a choice, by the rules of the published evaluations.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "data/prompt.h"

namespace dehvf {

/// memvp: the first capital letter. lavin: the letter in the first "The answer is X" that is followed by any
/// character of the same line. llava: a letter alone, or a letter, period and space at the start, or that
/// sentence exactly once in the text.
enum class ExtractionRule { memvp, lavin, llava };

/// The choice named by `text`, or nothing where the rule finds none or its letter lies beyond the `choices`.
std::optional<int> extract_answer(std::string_view text, int choices, ExtractionRule rule);

/// The choice that `text`, written behind a prompt of `format`, names: memvp's rule for QCM-A, lavin's for
/// QCM-ALE, llava's for LLaVA's two (leading white space is not looked at), and for `word` the longest choice
/// that the text begins with as whole words.
std::optional<int> extract_answer(std::string_view text, const std::vector<std::string>& choices,
                                  PromptFormat format);

/// LaVIN's repair of an invalid answer: a random choice, here drawn from seed and problem id alone. It adds
/// up to chance accuracy to a score; the other rule counts invalid answers wrong (index -1).
int choice_or_random(std::optional<int> extracted, int choices, std::string_view id, uint64_t seed);

}  // namespace dehvf
