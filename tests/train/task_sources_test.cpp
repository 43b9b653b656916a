// Captions, short answers and pairs as a run's data: examples, questions, scores, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "data/scene_sets.h"
#include "data/scorers/coco_captions.h"
#include "data/scorers/nlvr2_score.h"
#include "data/scorers/vqa_score.h"
#include "support/message.h"
#include "toy_run.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

struct TaskSources : testing::Test {
  const ToyFiles files;

  std::filesystem::path made(SceneFormat format) const {
    const auto folder = files / "set";
    write_scene_set(SceneWorld::shapes(), format, {.train = 4, .val = 4, .test = 8}, folder);
    return folder;
  }
  dehvf::Run run(const std::filesystem::path& data, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> keys{"data=" + data.string()};
    keys.insert(keys.end(), more.begin(), more.end());
    return files.run(keys);
  }
  static std::string labelled(const Example& example, const Tokenizer& tokenizer) {
    std::vector<int32_t> tokens;
    for (const int32_t label : example.labels)
      if (label != kIgnored) tokens.push_back(label);
    EXPECT_EQ(tokens.back(), tokenizer.eos());
    return tokenizer.decode(tokens);
  }
};

TEST_F(TaskSources, EveryCaptionIsAnExampleAndEveryPictureAQuestion) {
  const auto folder = made(SceneFormat::captions);
  auto run = this->run(folder);
  const SplitData data = run.load("train", Use::training);
  const CaptionReferences truth = read_caption_references(folder / "captions_train.json");
  ASSERT_EQ(data.examples.size(), 20u);
  EXPECT_EQ(data.pictures->count(), 4);
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(data.examples[i].image, int32_t(i / 5));
    EXPECT_EQ(labelled(data.examples[i], run.tokenizer()), " " + truth.captions.at(truth.ids[i / 5])[i % 5]);
  }
  EXPECT_THAT(run.tokenizer().decode(data.examples[0].tokens), StartsWith("a picture of "));
  const SplitData test = run.load("test", Use::evaluation);
  ASSERT_EQ(test.exam->questions.size(), 8u);
  EXPECT_FALSE(test.exam->may_rank);
  const CaptionReferences wanted = read_caption_references(folder / "captions_test.json");
  std::vector<Reply> replies;
  for (const std::string& id : wanted.ids) replies.push_back({.text = " " + wanted.captions.at(id)[0]});
  replies[0].text = " nothing of this";
  const Score score = test.exam->score(replies);
  const auto file = files / "captions.json";
  test.exam->write(file, replies);
  const SampleScores of_file = score_coco_captions(file, folder / "captions_test.json", CaptionText::plain);
  EXPECT_EQ(score.samples, of_file.samples);
  EXPECT_EQ(score.figures[0].value, of_file.figures[0].second);
  EXPECT_LT(score.samples[0], 0.1);
  EXPECT_GT(score.samples[1], 1);
}

TEST_F(TaskSources, WhatMostPeopleAnswerIsLearned) {
  const auto folder = made(SceneFormat::vqa);
  auto run = this->run(folder, {"train.limit=3"});
  const SplitData data = run.load("train", Use::training);
  const auto truth = read_vqa(folder / "annotations_train.json", VqaRule::official);
  ASSERT_EQ(data.examples.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const std::string answer = labelled(data.examples[i], run.tokenizer());
    const auto same = [&](const std::string& text) { return std::ranges::count(truth[i].people, text); };
    for (const std::string& other : truth[i].people) EXPECT_GE(same(answer.substr(1)), same(other));
    EXPECT_THAT(run.tokenizer().decode(data.examples[i].tokens),
                AllOf(StartsWith("Question: "), EndsWith(" Short answer:" + answer)));
  }
  const SplitData test = run.load("val", Use::evaluation);
  const auto wanted = read_vqa(folder / "annotations_val.json", VqaRule::official);
  ASSERT_EQ(test.exam->questions.size(), 3u);
  const Score none = test.exam->score(std::vector<Reply>(3, Reply{.text = "neither"}));
  EXPECT_EQ(none.figures[0].value, 0);
  std::vector<Reply> replies;
  for (size_t i = 0; i < 3; ++i) replies.push_back({.text = wanted[i].people.back()});
  EXPECT_GT(test.exam->score(replies).figures[0].value, 0.5);
}

TEST_F(TaskSources, RefusesFoldersThatAreNoneOrSeveral) {
  const auto complaint = [&](const std::filesystem::path& folder, const std::string& split) {
    return message_of<Error>([&] { run(folder).load(split, Use::training); });
  };
  std::filesystem::create_directory(files / "empty");
  EXPECT_THAT(complaint(files / "empty", "train"), AllOf(HasSubstr("NLVR2"), HasSubstr("found none")));
  const auto folder = made(SceneFormat::captions);
  EXPECT_THAT(complaint(folder, "other"), HasSubstr("wanted captions_other.json, found none"));
  std::filesystem::remove(folder / "images" / "train" / "1.png");
  EXPECT_THAT(complaint(folder, "train"), AllOf(HasSubstr("1 of 4 are missing"), HasSubstr("1.png")));
  write_file(folder / "test.json", "");
  EXPECT_THAT(complaint(folder, "train"), AllOf(HasSubstr("COCO"), HasSubstr("and SPLIT.json (NLVR2)")));
}

}  // namespace
}  // namespace dehvf
