// dehvf plan and dehvf compare: what they say of presets and of folders, and what they refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../data/scienceqa_folder.h"
#include "cli/commands.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "data/length_counts.h"
#include "support/golden.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf::cli {
namespace {

using ::testing::HasSubstr;

std::string preset(const std::string& name) {
  return concat(DEHVF_SOURCE_DIR, "/configs/papers/", name, ".yaml");
}

Json planned(std::vector<std::string> words) {
  words.insert(words.begin(), {"plan", "--json", "--device", "cpu"});
  return Json::parse(run_command(add_plan, words));
}

TEST(Plan, KnowsAPublishedModelWithoutItsFiles) {
  const Json plan = planned({"--config", preset("dehvf-7b"), "--length", "64", "train.micro_batch=2"});
  EXPECT_EQ(plan["trained"], 4068806);
  EXPECT_EQ(plan["samples"], 2);
  const Json& train = plan["train"];
  EXPECT_NEAR(train["memory"]["weights"].get<double>(), 2 * plan["frozen"].get<double>(), 0.01e9);
  EXPECT_GT(train["forecast_s"], train["floor_s"]);
  EXPECT_GT(plan["first_token"]["flops"], plan["next_token"]["flops"]);
}

TEST(Plan, SaysWhatTheDeviceLacks) {
  const Json plan = planned({"--config", preset("llava-v1.5-7b"), "--length", "1024", "train.micro_batch=4"});
  EXPECT_THAT(plan["device"]["shortage"].get<std::string>(),
              testing::AllOf(HasSubstr(" GB are held (weights "), HasSubstr(", parameters 128."),
                             HasSubstr("cpu has "), HasSubstr("too little")));
  EXPECT_EQ(
      planned({"--config", preset("dehvf-7b"), "model=" DEHVF_SOURCE_DIR "/examples/toy/llama",
               "tower=" DEHVF_SOURCE_DIR "/examples/toy/tower", "--length", "64"})["device"]["shortage"],
      "");
}

TEST(Plan, TakesTheSizesOfFolders) {
  const Json plan = planned({concat("model=", golden("llama/mha_f32").string()), "tower=", "fusion.name=none",
                             "lora.rank=2", "tower_adapters.enabled=false", "--length", "16"});
  EXPECT_LT(plan["train"]["bytes"], 1e8);
  EXPECT_EQ(plan["images"]["flops"], 0);
}

TEST(Plan, RefusesInOneLine) {
  const auto refused = [](const std::vector<std::string>& words) {
    return message_of<ConfigError>([&] { planned(words); });
  };
  EXPECT_THAT(refused({}), HasSubstr("'model' is missing"));
  EXPECT_THAT(refused({"--config", preset("dehvf-7b"), "model=llama-9b"}),
              HasSubstr("known: llama-13b, llama-7b"));
  EXPECT_THAT(refused({"--config", preset("dehvf-7b"), "--length", "8"}), HasSubstr("of 8 tokens not 8"));
  EXPECT_THAT(refused({"--config", preset("dehvf-7b"), "--machine", "abacus"}), HasSubstr("found 'abacus'"));
}

TEST(CompareCommand, WritesAPageAndTables) {
  const TemporaryFolder folder;
  const std::string said = run_command(add_compare, {"compare", preset("dehvf-7b"), preset("llava-lora-7b"),
                                                     "--lengths=64,128", "--out", folder / "out"});
  EXPECT_EQ(read_file(folder / "out/compare.md"), said);
  EXPECT_THAT(read_file(folder / "out/compare.html", 1 << 22), HasSubstr("Predicted for h200, not measured"));
  EXPECT_EQ(read_json(folder / "out/compare.json")["rows"].size(), 2u);
  EXPECT_THAT(read_file(folder / "out/compare.csv"), HasSubstr("dehvf-7b,dehvf,4068806,"));
}

TEST(CompareCommand, RefusesLengthsThatAreNeitherNumbersNorAFile) {
  for (const char* lengths : {"64,x", "lengths.json", "0", "64,-1", "99999999999999999999"})
    EXPECT_THAT(message_of<ConfigError>([&] {
                  run_command(add_compare, {"compare", preset("dehvf-7b"), concat("--lengths=", lengths)});
                }),
                HasSubstr("or a file that is there, found"))
        << lengths;
}

TEST(InspectCommand, CountsLengthsForACompare) {
  const ScienceQaFolder data;
  const TemporaryFolder folder;
  const std::string counts = (folder / "lengths.json").string(), toy = DEHVF_SOURCE_DIR "/examples/toy/llama";
  const auto inspect = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"inspect", data.write().string(), "--lengths-out", counts});
    return run_command(add_inspect, words);
  };
  EXPECT_THAT(message_of<ConfigError>([&] { inspect({}); }), HasSubstr("name the folder of a tokenizer"));
  EXPECT_FALSE(std::filesystem::exists(counts));
  inspect({"--model", toy});
  const LengthCounts read = read_length_counts(counts);
  EXPECT_EQ(read.samples(), 20);
  int64_t pictures = 0;
  for (const auto& [text, count] : read.counts) pictures += text.picture ? count : 0;
  EXPECT_EQ(pictures, 9);
  const std::string said = run_command(
      add_compare, {"compare", preset("dehvf-7b"), "--shape", "toy", "--layers", "1", "--lengths", counts});
  EXPECT_THAT(said, HasSubstr("of 20 counted ones (by llama, byte-level bpe of "));
}

}  // namespace
}  // namespace dehvf::cli
