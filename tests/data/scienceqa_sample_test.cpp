// Real problems, where the folder with them is there: DEHVF_SCIENCEQA_SAMPLE, else beside the repository.
// Their licence keeps them out of it.
#include <cstdlib>

#include <gtest/gtest.h>

#include "core/io/json.h"
#include "data/prompt.h"
#include "data/scorers/scienceqa_score.h"

namespace dehvf {
namespace {

std::filesystem::path sample_folder() {
  if (const char* given = std::getenv("DEHVF_SCIENCEQA_SAMPLE")) return given;
  return std::filesystem::path(DEHVF_SOURCE_DIR) / "../shared/data/scienceqa_sample";
}

class ScienceQaSample : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(sample_folder() / "problems.json"))
      GTEST_SKIP() << "no ScienceQA sample at " << sample_folder() << "; set DEHVF_SCIENCEQA_SAMPLE";
  }
};

TEST_F(ScienceQaSample, ReproducesTheExpectedScores) {
  const ScienceQa data(sample_folder());
  const Json expected = read_json(sample_folder() / "expected_scores.json");
  ASSERT_GE(expected.size(), 2u);
  for (const auto& [name, columns] : expected.items()) {
    const auto path = sample_folder() / (name + "_results.json");
    const auto score = score_scienceqa(data, "test", read_predictions(path), path.string());
    ASSERT_EQ(columns.size(), score.columns.size());
    for (const auto& row : score.columns) {
      ASSERT_TRUE(columns.contains(row.name)) << row.name;
      EXPECT_EQ(columns[row.name][0], row.right) << name << " " << row.name;
      EXPECT_EQ(columns[row.name][1], row.of) << name << " " << row.name;
    }
  }
}

TEST_F(ScienceQaSample, GivesPromptsForEveryProblem) {
  const ScienceQa data(sample_folder());
  EXPECT_EQ(data.split("trainval").size(), data.split("train").size() + data.split("val").size());
  for (const Problem& problem : data.problems())
    for (const char* name : {"QCM-A", "QCM-ALE", "CQM-A", "QCM-LEA", "word"}) {
      const auto text = build_prompt(problem, prompt_format(name), false);
      EXPECT_NE(text.prompt.find(problem.question.substr(0, problem.question.find("  "))), std::string::npos);
      EXPECT_FALSE(text.answer_text.empty());
      EXPECT_EQ(choice_texts(problem, prompt_format(name)).size(), problem.choices.size());
    }
}

}  // namespace
}  // namespace dehvf
