// The demo's scenes as captions, questions and pairs: what the scorers make of them, balance, bytes.
#include "data/scene_sets.h"

#include <algorithm>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/json.h"
#include "data/image.h"
#include "data/scorers/coco_captions.h"
#include "data/scorers/nlvr2_score.h"
#include "data/scorers/vqa_score.h"
#include "scene_fixtures.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using testing::HasSubstr;

constexpr SceneDataConfig kSmall{.seed = 3, .train = 41, .val = 3, .test = 10};

double figure(const SampleScores& scores, const std::string& name) {
  const auto found = std::ranges::find(scores.figures, name, &std::pair<std::string, double>::first);
  return found == scores.figures.end() ? -1 : found->second;
}

TEST(SceneSets, CaptionsAreReadByTheirScorer) {
  TemporaryFolder folder;
  write_scene_set(SceneWorld::shapes(), SceneFormat::captions, kSmall, folder / "made");
  const auto file = folder / "made" / "captions_train.json";
  const Json json = read_json(file);
  ASSERT_EQ(json["images"].size(), 41u);
  ASSERT_EQ(json["annotations"].size(), 205u);
  for (const Json& image : json["images"])
    EXPECT_EQ(read_image(folder / "made" / "images" / "train" / image["file_name"].get<std::string>()).width,
              32);
  Json own = Json::array(), exchanged = Json::array();
  for (size_t i = 0; i < 41; ++i) {
    own.push_back(json["annotations"][5 * i]);
    exchanged.push_back({{"image_id", json["annotations"][5 * i]["image_id"]},
                         {"caption", json["annotations"][5 * ((i + 20) % 41)]["caption"]}});
  }
  write_json(folder / "own.json", own);
  write_json(folder / "exchanged.json", exchanged);
  const auto right = score_coco_captions(folder / "own.json", file, CaptionText::plain),
             wrong = score_coco_captions(folder / "exchanged.json", file, CaptionText::plain);
  EXPECT_NEAR(figure(right, "BLEU-4"), 1, 1e-6);
  EXPECT_GT(figure(right, "CIDEr-D"), 2 * figure(wrong, "CIDEr-D"));
}

TEST(SceneSets, QuestionsAreReadByTheirScorer) {
  TemporaryFolder folder;
  write_scene_set(picture_world(), SceneFormat::vqa, {.seed = 1, .train = 300, .val = 1, .test = 1},
                  folder / "made");
  const Json questions = read_json(folder / "made" / "questions_train.json")["questions"],
             annotations = read_json(folder / "made" / "annotations_train.json")["annotations"];
  ASSERT_EQ(questions.size(), 300u);
  Json answers = Json::array();
  std::map<std::string, int> types, yes;
  for (size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(questions[i]["question_id"], annotations[i]["question_id"]);
    ++types[annotations[i]["answer_type"]];
    ++yes[annotations[i]["multiple_choice_answer"]];
    answers.push_back(
        {{"question_id", questions[i]["question_id"]}, {"answer", annotations[i]["multiple_choice_answer"]}});
  }
  write_json(folder / "answers.json", answers);
  for (const VqaRule rule : {VqaRule::official, VqaRule::evalai}) {
    const auto score = score_vqa(folder / "answers.json", folder / "made" / "annotations_train.json", rule);
    // At least seven of ten agree; only the official rule may see a number written in two ways where all
    // people wrote it in one.
    EXPECT_GT(figure(score, "accuracy"), 0.99);
    EXPECT_EQ(figure(score, "answers: other"), 1);
  }
  EXPECT_EQ(types.size(), 3u);
  // 100 +- 5 standard deviations say yes or no, half of them yes.
  EXPECT_NEAR(types["yes/no"], 100, 41);
  EXPECT_NEAR(yes["yes"], yes["no"], 60);
}

TEST(SceneSets, HalfThePairsOfASentenceMakeItTrue) {
  TemporaryFolder folder;
  write_scene_set(SceneWorld::shapes(), SceneFormat::pairs, {.seed = 2, .train = 200, .val = 2, .test = 6},
                  folder / "made");
  const auto samples = read_nlvr2(folder / "made" / "train.json");
  ASSERT_EQ(samples.size(), 200u);
  std::map<std::string, std::pair<int, int>> sentences;  // true, all
  std::map<std::string, std::string> texts;
  for (const Nlvr2Sample& sample : samples) {
    sentences[sample.sentence_id()].first += sample.label;
    ++sentences[sample.sentence_id()].second;
    EXPECT_EQ(texts.emplace(sample.sentence_id(), sample.sentence).first->second, sample.sentence);
    for (const std::string& name : {sample.left(), sample.right()})
      EXPECT_EQ(read_image(folder / "made" / "images" / "train" / name).height, 32);
  }
  EXPECT_EQ(sentences.size(), 50u);
  for (const auto& [id, counts] : sentences) EXPECT_EQ(counts, std::pair(2, 4)) << id;
  EXPECT_EQ(read_nlvr2(folder / "made" / "test.json").size(), 6u);
}

TEST(SceneSets, TheSameSeedGivesTheSameBytes) {
  TemporaryFolder folder;
  int made = 0;
  std::map<uint64_t, int> hashes;
  for (const SceneFormat format : {SceneFormat::captions, SceneFormat::vqa, SceneFormat::pairs}) {
    const auto write = [&](uint64_t seed) {
      SceneDataConfig config = kSmall;
      config.seed = seed;
      return write_scene_set(SceneWorld::shapes(), format, config, folder / std::to_string(made++));
    };
    const uint64_t hash = write(3);
    EXPECT_EQ(write(3), hash);
    ++hashes[hash];
    ++hashes[write(4)];
  }
  EXPECT_EQ(hashes.size(), 6u);
  EXPECT_THAT(message_of<ConfigError>([&] {
                write_scene_set(SceneWorld::shapes(), SceneFormat::vqa, {.val = 0}, folder / "none");
              }),
              HasSubstr("vqa: wanted 1 to 1000000 samples for val, found 0"));
  EXPECT_FALSE(std::filesystem::exists(folder / "none"));
}

}  // namespace
}  // namespace dehvf
