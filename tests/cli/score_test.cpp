// dehvf score: every format, comparisons, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/assets.h"
#include "cli/commands.h"
#include "cli/worlds.h"
#include "core/error.h"
#include "core/io/json.h"
#include "data/scene_generator.h"
#include "data/scorers/scienceqa_score.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf::cli {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kFixtures = DEHVF_SOURCE_DIR "/tests/golden/scorers";

std::string score(std::vector<std::string> words) {
  words.insert(words.begin(), "score");
  return run_command(add_score, words);
}

TEST(Score, EveryFormatGivesTheFiguresOfThePublicScorers) {
  const Json captions =
      Json::parse(score({"coco-captions", "--json", "--predictions", kFixtures / "coco_results.json",
                         "--references", kFixtures / "coco_references.json"}));
  EXPECT_EQ(captions["samples"], 40);
  EXPECT_NEAR(captions["figures"]["CIDEr-D"].get<double>(),
              read_json(kFixtures / "coco_scores.json")["cider"].get<double>(), 1e-9);
  const std::vector<std::string> vqa{"vqav2",         "--json",
                                     "--predictions", kFixtures / "vqa_results.json",
                                     "--references",  kFixtures / "vqa_annotations.json"};
  const double official = read_json(kFixtures / "vqa_scores.json")["official"]["accuracy"];
  EXPECT_NEAR(100 * Json::parse(score(vqa))["figures"]["accuracy"].get<double>(), official, 1e-6);
  auto evalai = vqa;
  evalai.insert(evalai.end(), {"--rule", "evalai"});
  EXPECT_GT(Json::parse(score(evalai))["figures"]["accuracy"].get<double>(), official / 100);
  const std::string table = score({"nlvr2", "--predictions", kFixtures / "nlvr2_predictions.csv",
                                   "--references", kFixtures / "nlvr2_references.json"});
  EXPECT_THAT(table, HasSubstr("accuracy                       65.12"));
  EXPECT_THAT(table, HasSubstr("consistency                    42.86"));
}

TEST(Score, ComparesSampleBySample) {
  TemporaryFolder folder;
  write_scene_data(open_world("scenes", default_assets()), {.train = 1, .val = 1, .test = 60},
                   folder / "data");
  const ScienceQa data(folder / "data");
  Predictions good, bad;
  for (const std::string& id : data.split("test")) {
    good[id] = data.problem(id).answer;
    bad[id] = 0;
  }
  write_predictions(folder / "good.json", good);
  write_predictions(folder / "bad.json", bad);
  const std::vector<std::string> words{"scienceqa",     "--predictions", folder / "good.json", "--references",
                                       folder / "data", "--against",     folder / "bad.json"};
  auto json = words;
  json.emplace_back("--json");
  const Json result = Json::parse(score(json)), other = result["against"][0];
  EXPECT_EQ(result["figures"]["Avg"], 1.0);
  const double share = other["figures"]["Avg"];
  EXPECT_NEAR(other["difference"].get<double>(), 1 - share, 1e-12);
  EXPECT_EQ(other["mcnemar"]["only_second"], 0);
  EXPECT_NEAR(other["mcnemar"]["only_first"].get<double>(), 60 * (1 - share), 1e-9);
  EXPECT_LT(other["mcnemar"]["p"].get<double>(), 1e-6);
  EXPECT_LT(other["p"].get<double>(), 1e-3);
  EXPECT_THAT(score(words), HasSubstr("right only here"));
}

TEST(Score, RefusesWhatDoesNotFit) {
  const std::vector<std::string> files{"--predictions", kFixtures / "vqa_results.json", "--references",
                                       kFixtures / "coco_references.json"};
  const auto complaint = [&](const std::string& format, const std::vector<std::string>& more) {
    std::vector<std::string> words{format};
    words.insert(words.end(), files.begin(), files.end());
    words.insert(words.end(), more.begin(), more.end());
    return message_of<Error>([&] { score(words); });
  };
  EXPECT_THAT(complaint("vqav2", {"--pretokenized"}), HasSubstr("--pretokenized: is for coco-captions only"));
  EXPECT_THAT(complaint("nlvr2", {"--rule", "evalai"}), HasSubstr("--rule: is for vqav2 only, found nlvr2"));
  EXPECT_THAT(complaint("nlvr2", {"--split", "val"}), HasSubstr("--split: is for scienceqa only"));
  EXPECT_THAT(complaint("vqav2", {}), HasSubstr("annotations[0]: key 'question_id' is missing"));
  EXPECT_THAT(complaint("coco-captions", {}), HasSubstr("record[0]: key 'image_id' is missing"));
}

}  // namespace
}  // namespace dehvf::cli
