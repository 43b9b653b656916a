// Prompt formats, byte by byte.
#include "data/prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "support/message.h"

namespace dehvf {
namespace {

Problem rock() {
  Problem p;
  p.id = "8";
  p.question = "Is this  a rock?";  // two spaces
  p.hint = "It is   hard. ";        // three: one pass leaves two
  p.caption = "a grey thing";
  p.lecture = "Rocks are\nhard.";
  p.solution = "So it is.";
  p.choices = {"yes", "no", "maybe"};
  p.answer = 1;
  return p;
}

TEST(Prompt, QcmA) {
  const auto text = build_prompt(rock(), PromptFormat::qcm_a, false);
  EXPECT_EQ(text.prompt,
            "Question: Is this a rock?\nContext: It is  hard.\nOptions: (A) yes (B) no (C) maybe\nResponse:");
  EXPECT_EQ(text.answer_text, "The answer is B.");
  EXPECT_EQ(text.lead_in, "The answer is");
}

TEST(Prompt, CaptionFollowsTheHint) {
  // Hint and caption are joined before pairs of spaces collapse: "hard. " + " " + caption.
  const auto text = build_prompt(rock(), PromptFormat::qcm_a, true);
  EXPECT_EQ(text.prompt,
            "Question: Is this a rock?\nContext: It is  hard. a grey thing\n"
            "Options: (A) yes (B) no (C) maybe\nResponse:");
  Problem bare = rock();
  bare.hint = "";
  EXPECT_THAT(build_prompt(bare, PromptFormat::qcm_a, true).prompt,
              testing::HasSubstr("Context: a grey thing\n"));
  EXPECT_THAT(build_prompt(bare, PromptFormat::qcm_a, false).prompt, testing::HasSubstr("Context: N/A\n"));
}

TEST(Prompt, QcmAle) {
  const auto text = build_prompt(rock(), PromptFormat::qcm_ale, false);
  EXPECT_EQ(text.prompt, build_prompt(rock(), PromptFormat::qcm_a, false).prompt);
  EXPECT_EQ(text.answer_text, "The answer is B. BECAUSE: Rocks are\\nhard. So it is.");
  EXPECT_EQ(text.lead_in, "");
  Problem bare = rock();
  bare.lecture = bare.solution = "";
  EXPECT_EQ(build_prompt(bare, PromptFormat::qcm_ale, false).answer_text, "The answer is B. BECAUSE:");
}

TEST(Prompt, Llava) {
  const auto evaluation = build_prompt(rock(), PromptFormat::cqm_a, false);
  EXPECT_EQ(evaluation.prompt,
            "Context: It is  hard.\nQuestion: Is this a rock?\nOptions: (A) yes (B) no (C) maybe\nAnswer:");
  EXPECT_EQ(evaluation.answer_text, " The answer is B.");
  const auto training = build_prompt(rock(), PromptFormat::qcm_lea, false);
  EXPECT_EQ(training.prompt,
            "Question: Is this a rock?\nContext: It is  hard.\nOptions: (A) yes (B) no (C) maybe\nAnswer:");
  EXPECT_EQ(training.answer_text, " Rocks are\nhard. So it is. The answer is B.");
}

TEST(Prompt, Words) {
  const auto text = build_prompt(rock(), PromptFormat::word, false);
  EXPECT_EQ(text.prompt, "It is  hard.\nIs this a rock?\nAnswer:");
  EXPECT_EQ(text.answer_text, " no");
  Problem bare = rock();
  bare.hint = "";
  EXPECT_EQ(build_prompt(bare, PromptFormat::word, false).prompt, "Is this a rock?\nAnswer:");
}

TEST(Prompt, ChoicesToRankHoldTheAnswer) {
  for (const char* name : {"QCM-A", "CQM-A", "word"}) {
    const auto format = prompt_format(name);
    EXPECT_EQ(prompt_format_name(format), name);
    const auto texts = choice_texts(rock(), format);
    ASSERT_EQ(texts.size(), 3u);
    EXPECT_EQ(texts[1], build_prompt(rock(), format, false).answer_text);
    EXPECT_NE(texts[0], texts[1]);
  }
  EXPECT_THAT(build_prompt(rock(), PromptFormat::qcm_ale, false).answer_text,
              testing::StartsWith(choice_texts(rock(), PromptFormat::qcm_ale)[1]));
}

TEST(Prompt, UnknownNamesAreAnsweredWithTheKnownOnes) {
  EXPECT_THAT(message_of<ConfigError>([] { prompt_format("QCMA"); }),
              testing::HasSubstr("QCM-A, QCM-ALE, CQM-A, QCM-LEA, word, found 'QCMA'"));
}

}  // namespace
}  // namespace dehvf
