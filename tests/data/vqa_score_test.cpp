// VQAv2 and NLVR2 as the public scorers have them, and paired statistics.
#include "data/scorers/vqa_score.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/json.h"
#include "core/random.h"
#include "data/scorers/nlvr2_score.h"
#include "data/scorers/paired.h"
#include "scorer_fixture.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(VqaScore, AnswersBecomeComparableAsInThePublicTools) {
  const Json cases = read_json(scorer_fixture("vqa_answers.json"));
  ASSERT_GT(cases.size(), 900u);
  for (const Json& c : cases) {
    EXPECT_EQ(comparable_answer(c[0].get<std::string>(), VqaRule::official), c[1].get<std::string>()) << c[0];
    EXPECT_EQ(comparable_answer(c[0].get<std::string>(), VqaRule::evalai), c[2].get<std::string>()) << c[0];
  }
}

TEST(VqaScore, EqualsThePublicTools) {
  const Json truth = read_json(scorer_fixture("vqa_scores.json"));
  const auto annotations = scorer_fixture("vqa_annotations.json"),
             results = scorer_fixture("vqa_results.json");
  const auto official = score_vqa(results, annotations, VqaRule::official);
  EXPECT_NEAR(100 * official.figures[0].second, truth["official"]["accuracy"].get<double>(), 1e-9);
  size_t parts = 1;
  for (const char* part : {"answers", "questions"})
    for (const auto& [name, value] : truth["official"][part].items()) {
      const auto found = std::ranges::find(official.figures, concat(part, ": ", name),
                                           &std::pair<std::string, double>::first);
      ASSERT_NE(found, official.figures.end()) << name;
      EXPECT_NEAR(100 * found->second, value.get<double>(), 1e-9) << name;
      ++parts;
    }
  EXPECT_EQ(official.figures.size(), parts);
  const auto evalai = score_vqa(results, annotations, VqaRule::evalai);
  ASSERT_EQ(official.samples.size(), truth["official"]["samples"].size());
  for (size_t i = 0; i < official.samples.size(); ++i) {
    EXPECT_NEAR(100 * official.samples[i], truth["official"]["samples"][i].get<double>(), 1e-9) << i;
    EXPECT_NEAR(evalai.samples[i], truth["evalai"][i].get<double>(), 1e-12) << i;
  }
}

TEST(VqaScore, GivesPartOfAPointToRareAnswers) {
  for (int count = 0; count <= 10; ++count) {
    std::vector<std::string> people(10, "no");
    std::fill_n(people.begin(), count, "yes");
    const double wanted[] = {0, 0.3, 0.6, 0.9};
    for (const VqaRule rule : {VqaRule::official, VqaRule::evalai})
      EXPECT_NEAR(vqa_accuracy("yes", people, rule), count > 3 ? 1 : wanted[count], 1e-12) << count;
  }
  // Where all people agree, the official tool compares what was written.
  const std::vector<std::string> all(10, "two");
  EXPECT_EQ(vqa_accuracy("2", all, VqaRule::official), 0);
  EXPECT_EQ(vqa_accuracy("2", all, VqaRule::evalai), 1);
}

TEST(VqaScore, RefusesRecordsByTheirIndex) {
  TemporaryFolder folder;
  const auto complaint = [&](const char* results, const std::string& annotations, VqaRule rule) {
    spill(folder / "p.json", results);
    spill(folder / "r.json", annotations);
    return message_of<IoError>([&] { score_vqa(folder / "p.json", folder / "r.json", rule); });
  };
  const std::string question =
      R"({"question_id": 4, "answer_type": "other", "question_type": "what",
          "answers": [{"answer": "a"}, {"answer": "b"}]})";
  const std::string one = R"({"annotations": [)" + question + "]}";
  const auto official = VqaRule::official;
  EXPECT_THAT(complaint("[]", one, official), AllOf(HasSubstr("0 answers, none for question_id 4")));
  EXPECT_THAT(complaint(R"([{"question_id": 4, "answer": 2}])", one, official),
              HasSubstr("record[0]: key 'answer': wanted a string, found 2"));
  EXPECT_THAT(
      complaint(R"([{"question_id": 4, "answer": "a"}, {"question_id": 4, "answer": "a"}])", one, official),
      HasSubstr("record[1]: question_id 4 has an answer already"));
  EXPECT_THAT(
      complaint(R"([{"question_id": 4, "answer": "a"}, {"question_id": 5, "answer": "a"}])", one, official),
      HasSubstr("wanted answers to the 1 questions"));
  EXPECT_THAT(complaint("[]", one, VqaRule::evalai),
              HasSubstr("annotations[0]: key 'answers': wanted 10 answers, found 2"));
  EXPECT_THAT(complaint("[]", R"({"annotations": [)" + question + "," + question + "]}", official),
              HasSubstr("annotations[1]: question_id 4 stands twice"));
  EXPECT_THAT(
      complaint("[]", R"([{"question_id": 4, "answer_type": "", "question_type": "", "answers": [1]}])",
                official),
      HasSubstr("record[0].answers[0]: wanted an object, found 1"));
}

TEST(Nlvr2Score, EqualsThePublicTool) {
  const Json truth = read_json(scorer_fixture("nlvr2_scores.json"));
  const auto score =
      score_nlvr2(scorer_fixture("nlvr2_predictions.csv"), scorer_fixture("nlvr2_references.json"));
  EXPECT_NEAR(score.figures[0].second, truth["accuracy"].get<double>(), 1e-12);
  EXPECT_NEAR(score.figures[1].second, truth["consistency"].get<double>(), 1e-12);
  EXPECT_TRUE(score.right_or_wrong);
  const Nlvr2Sample sample{.identifier = "dev-850-2-1", .sentence = ""};
  EXPECT_EQ(sample.sentence_id(), "dev-850-1");
  EXPECT_EQ(sample.left(), "dev-850-2-img0.png");
  EXPECT_EQ(sample.right(), "dev-850-2-img1.png");
}

TEST(Nlvr2Score, RefusesLinesByTheirNumber) {
  TemporaryFolder folder;
  const auto complaint = [&](const char* judged, const char* samples) {
    spill(folder / "p.csv", judged);
    spill(folder / "r.json", samples);
    return message_of<IoError>([&] { score_nlvr2(folder / "p.csv", folder / "r.json"); });
  };
  const char* const good = "{\"identifier\": \"dev-1-0-0\", \"sentence\": \"\", \"label\": \"True\"}\n\n";
  EXPECT_THAT(complaint("", good), HasSubstr("has 0 judgements, none for 'dev-1-0-0'"));
  EXPECT_THAT(complaint("dev-1-0-0,true\ndev-1-0-1 true", good), HasSubstr("line 2: wanted identifier,True"));
  EXPECT_THAT(complaint("dev-1-0-0,yes", good), HasSubstr("line 1: wanted True or False, found 'yes'"));
  EXPECT_THAT(complaint("dev-1-0-0,true\n\ndev-1-0-0,true", good),
              HasSubstr("line 3: 'dev-1-0-0' was judged"));
  EXPECT_THAT(complaint("", "\n{\"identifier\": \"dev-1\", \"sentence\": \"\", \"label\": \"True\"}"),
              HasSubstr("line 2: key 'identifier': wanted split-set-pair-sentence"));
  EXPECT_THAT(complaint("", "{\"identifier\": \"../1-1-1-1\", \"sentence\": \"\", \"label\": \"True\"}"),
              HasSubstr("wanted split-set-pair-sentence"));
  EXPECT_THAT(complaint("", "{\"sentence\": 1"), HasSubstr("line 1: invalid JSON"));
  EXPECT_THAT(complaint("", " "), HasSubstr("found an empty file"));
}

TEST(Paired, McNemarEqualsTheBinomialTest) {
  for (const Json& c : read_json(scorer_fixture("mcnemar.json"))) {
    const double wanted = c[2].get<double>();
    EXPECT_NEAR(mcnemar(c[0].get<int64_t>(), c[1].get<int64_t>()).p, wanted, 1e-9 * wanted) << c;
  }
  const std::vector<double> first{1, 0, 1, 1, 0}, second{0, 0, 1, 0, 1};
  const McNemar test = mcnemar(first, second);
  EXPECT_EQ(test.only_first, 2);
  EXPECT_EQ(test.only_second, 1);
}

TEST(Paired, BootstrapFindsTheSpreadOfTheMean) {
  Random random(5);
  std::vector<double> first, second;
  double sum = 0, squares = 0;
  constexpr int kCount = 400;
  for (int i = 0; i < kCount; ++i) {
    const double shared = 10 * random.normal(), difference = random.normal() + 0.2;
    first.push_back(shared + difference);
    second.push_back(shared);
    sum += difference;
    squares += difference * difference;
  }
  const double mean = sum / kCount, error = std::sqrt((squares / kCount - mean * mean) / kCount);
  const PairedBootstrap test = paired_bootstrap(first, second);
  EXPECT_NEAR(test.difference, mean, 1e-9);
  // A percentile of 10000 means is off by about 0.03 of their deviation; the normal law by little more.
  EXPECT_NEAR(test.interval.low, mean - 1.96 * error, 0.15 * error);
  EXPECT_NEAR(test.interval.high, mean + 1.96 * error, 0.15 * error);
  EXPECT_LT(test.p, 0.01);
  const PairedBootstrap again = paired_bootstrap(first, second);
  EXPECT_EQ(again.interval.low, test.interval.low);
  EXPECT_EQ(paired_bootstrap(first, first).p, 1);
  EXPECT_EQ(paired_bootstrap({}, {}).p, 1);
  EXPECT_GT(paired_bootstrap(second, first).interval.high, -test.interval.high);
  EXPECT_THROW(paired_bootstrap(first, {}), Error);
}

}  // namespace
}  // namespace dehvf
