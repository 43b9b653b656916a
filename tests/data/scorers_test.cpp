// Answer extraction, the official ScienceQA score, and intervals.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/file.h"
#include "data/scorers/answer_extraction.h"
#include "data/scorers/interval.h"
#include "data/scorers/scienceqa_score.h"
#include "scienceqa_folder.h"
#include "support/message.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr auto kNone = std::nullopt;

struct Extraction {
  const char* text;
  std::optional<int> memvp, lavin, llava;
};

TEST(AnswerExtraction, FollowsEachRule) {
  const Extraction cases[] = {
      {" B", 1, kNone, kNone},
      {"B", 1, kNone, 1},
      {"B. because", 1, kNone, 1},
      {"B.because", 1, kNone, kNone},
      {"(C)", 2, kNone, kNone},
      {"", kNone, kNone, kNone},
      {"b", kNone, kNone, kNone},
      {"The answer is C.", kNone, 2, 2},  // memvp reads the T, which is no choice
      {"The answer is C", kNone, kNone, kNone},
      {"The answer is C\n", kNone, kNone, kNone},
      {"The answer is C!", kNone, 2, 2},
      {"The answer is A. The answer is B.", kNone, 0, kNone},
      {"The answer is c. The answer is B.", kNone, 1, 1},
      {"The answer is The answer is D.", kNone, kNone, kNone},  // the letter found is the second T
      {"The answer is A.The answer is Th", kNone, 0, kNone},
      {"The answer is Z.", kNone, kNone, kNone},
      {"Z. ", kNone, kNone, kNone},
      {"is d, D", 3, kNone, kNone},
      {"Because A. BECAUSE: The answer is D. ok", 1, 3, 3},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(extract_answer(c.text, 4, ExtractionRule::memvp), c.memvp) << c.text;
    EXPECT_EQ(extract_answer(c.text, 4, ExtractionRule::lavin), c.lavin) << c.text;
    EXPECT_EQ(extract_answer(c.text, 4, ExtractionRule::llava), c.llava) << c.text;
  }
  EXPECT_EQ(extract_answer("D", 3, ExtractionRule::llava), kNone);
  EXPECT_EQ(extract_answer("D", 3, ExtractionRule::memvp), kNone);
}

TEST(AnswerExtraction, BelongsToThePromptFormat) {
  const std::vector<std::string> choices{"red", "red shapes", "blue", "Au"};
  EXPECT_EQ(extract_answer(" B", choices, PromptFormat::qcm_a), 1);
  EXPECT_EQ(extract_answer("The answer is C.", choices, PromptFormat::qcm_a), kNone);
  EXPECT_EQ(extract_answer("The answer is C. BECAUSE: no", choices, PromptFormat::qcm_ale), 2);
  EXPECT_EQ(extract_answer("B", choices, PromptFormat::qcm_ale), kNone);
  EXPECT_EQ(extract_answer("\n D", choices, PromptFormat::cqm_a), 3);
  EXPECT_EQ(extract_answer(" As told. The answer is A.", choices, PromptFormat::qcm_lea), 0);
  EXPECT_EQ(extract_answer("E", choices, PromptFormat::cqm_a), kNone);
  EXPECT_EQ(extract_answer(" red", choices, PromptFormat::word), 0);
  EXPECT_EQ(extract_answer("red shapes, two", choices, PromptFormat::word), 1);
  EXPECT_EQ(extract_answer("redder", choices, PromptFormat::word), kNone);
  EXPECT_EQ(extract_answer("", choices, PromptFormat::word), kNone);
  EXPECT_EQ(extract_answer("the blue", choices, PromptFormat::word), kNone);
}

TEST(AnswerExtraction, RepairsByIdAlone) {
  EXPECT_EQ(choice_or_random(2, 4, "17", 1), 2);
  int counts[5] = {};
  constexpr int kDraws = 5000;
  int moved = 0;
  for (int id = 0; id < kDraws; ++id) {
    const int drawn = choice_or_random(kNone, 5, std::to_string(id), 1);
    EXPECT_EQ(drawn, choice_or_random(kNone, 5, std::to_string(id), 1));
    moved += drawn != choice_or_random(kNone, 5, std::to_string(id), 2);
    ASSERT_TRUE(drawn >= 0 && drawn < 5);
    ++counts[drawn];
  }
  // Five standard deviations of a binomial count.
  for (int count : counts) EXPECT_NEAR(count, kDraws * 0.2, 5 * std::sqrt(kDraws * 0.2 * 0.8));
  EXPECT_NEAR(moved, kDraws * 0.8, 5 * std::sqrt(kDraws * 0.8 * 0.2));
}

Predictions all_right(const ScienceQa& data) {
  Predictions predictions;
  for (const auto& id : data.split("test")) predictions[id] = data.problem(id).answer;
  return predictions;
}

void expect_row(const ScoreRow& row, int64_t right, int64_t of, const char* percent) {
  EXPECT_EQ(row.right, right) << row.name;
  EXPECT_EQ(row.of, of) << row.name;
  EXPECT_EQ(row.percent(), percent) << row.name;
}

TEST(ScienceQaScore, CountsEachColumn) {
  ScienceQaFolder folder;
  const ScienceQa data(folder.write());
  auto predictions = all_right(data);
  predictions["1"] = 2;   // NAT, TXT and IMG, grade 1, physics
  predictions["8"] = -1;  // SOC, NO, grade 8, history
  predictions["9"] = 3;   // LAN, TXT, grade 10, verbs: no such choice
  const auto score = score_scienceqa(data, "test", predictions, "memory");
  expect_row(score.column("NAT"), 4, 5, "80.00");
  expect_row(score.column("SOC"), 2, 3, "66.67");
  expect_row(score.column("LAN"), 5, 6, "83.33");
  expect_row(score.column("TXT"), 4, 6, "66.67");
  expect_row(score.column("IMG"), 5, 6, "83.33");
  expect_row(score.column("NO"), 4, 5, "80.00");
  expect_row(score.column("G1-6"), 6, 7, "85.71");
  expect_row(score.column("G7-12"), 5, 7, "71.43");
  expect_row(score.column("Avg"), 11, 14, "78.57");
  // TXT and IMG share three problems (1, 5, 7): the three columns do not add up to the whole.
  EXPECT_EQ(score.column("TXT").of + score.column("IMG").of + score.column("NO").of, 14 + 3);
  EXPECT_EQ(score.invalid, 2);
  ASSERT_EQ(score.topics.size(), 6u);
  EXPECT_EQ(score.topics[0].name, "biology");
  expect_row(score.topics[4], 2, 3, "66.67");  // physics
  expect_row(score.topics[3], 0, 1, "0.00");   // history
  expect_row(score.topics[5], 3, 4, "75.00");  // verbs
  EXPECT_THAT(message_of<Error>([&] { score.column("ABC"); }), HasSubstr("'ABC'"));
}

TEST(ScienceQaScore, ScoresOtherListsAndEmptyColumns) {
  ScienceQaFolder folder;
  const ScienceQa data(folder.write());
  const auto score = score_scienceqa(data, "minitest", {{"7", 0}, {"3", 2}}, "memory");
  expect_row(score.column("Avg"), 2, 2, "100.00");
  expect_row(score.column("LAN"), 0, 0, "-");
}

TEST(ScienceQaScore, WantsEveryIdAndNoOther) {
  ScienceQaFolder folder;
  const ScienceQa data(folder.write());
  auto predictions = all_right(data);
  predictions.erase("14");
  predictions.erase("3");
  EXPECT_THAT(
      message_of<IoError>([&] { score_scienceqa(data, "test", predictions, "p.json"); }),
      AllOf(HasSubstr("p.json"), HasSubstr("each of the 14 problems"), HasSubstr("2 missing: 14, 3")));
  predictions = all_right(data);
  predictions["15"] = 0;
  EXPECT_THAT(message_of<IoError>([&] { score_scienceqa(data, "test", predictions, "p.json"); }),
              HasSubstr("1 predictions are not for problems of 'test': 15"));
}

TEST(ScienceQaScore, ReadsAndWritesPredictions) {
  ScienceQaFolder folder;
  const Predictions predictions{{"1", 2}, {"10", 0}, {"3", -1}};
  write_predictions(folder / "results.json", predictions);
  EXPECT_EQ(read_predictions(folder / "results.json"), predictions);
  write_file(folder / "bare.json", R"({"1": 2})");
  EXPECT_THAT(message_of<IoError>([&] { read_predictions(folder / "bare.json"); }),
              AllOf(HasSubstr("bare.json"), HasSubstr("wanted {\"results\"")));
  write_file(folder / "text.json", R"({"results": {"1": 2, "7": "B"}, "acc": 1.0})");
  EXPECT_THAT(message_of<IoError>([&] { read_predictions(folder / "text.json"); }),
              AllOf(HasSubstr("problem '7'"), HasSubstr("found \"B\"")));
  write_file(folder / "twice.json", R"({"results": {"1": 2, "1": 1}})");
  EXPECT_THAT(message_of<IoError>([&] { read_predictions(folder / "twice.json"); }),
              HasSubstr("stands twice"));
}

TEST(Interval, WilsonSolvesItsDefinition) {
  // The ends are the p at which the observed share lies z standard deviations away.
  for (const auto& [right, of] : {std::pair{0, 7}, {3, 10}, {512, 1024}, {4241, 4241}, {1, 3}}) {
    const Interval found = wilson_95(right, of);
    const double share = double(right) / of;
    for (double p : {found.low, found.high}) {
      if (p == 0 || p == 1) continue;
      EXPECT_NEAR(std::abs(share - p), 1.959963984540054 * std::sqrt(p * (1 - p) / of), 1e-12);
    }
    EXPECT_TRUE(found.low <= share && share <= found.high);
  }
  EXPECT_NEAR(wilson_95(5, 10).low, 0.2366, 5e-5);
  EXPECT_NEAR(wilson_95(5, 10).high, 0.7634, 5e-5);
  EXPECT_NEAR(wilson_95(0, 10).low, 0, 1e-15);
  EXPECT_NEAR(wilson_95(0, 10).high, 0.2775, 5e-5);
  EXPECT_EQ(wilson_95(0, 0).low, 0);
  EXPECT_EQ(wilson_95(0, 0).high, 1);
  EXPECT_THROW(wilson_95(3, 2), Error);
}

}  // namespace
}  // namespace dehvf
