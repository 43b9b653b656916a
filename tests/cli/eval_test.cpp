// dehvf eval and dehvf generate on the toy models, with an untrained adapter; what they refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/assets.h"
#include "cli/commands.h"
#include "cli/worlds.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "core/random.h"
#include "data/scene_generator.h"
#include "data/scorers/scienceqa_score.h"
#include "models/safetensors.h"
#include "support/message.h"
#include "support/temporary_folder.h"
#include "train/run.h"

namespace dehvf::cli {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kToy = DEHVF_SOURCE_DIR "/examples/toy";

// Data and an adapter, made once for all tests.
struct Made {
  TemporaryFolder folder;
  std::vector<std::string> words;

  Made() {
    write_scene_data(open_world("scenes", default_assets()), {.train = 3, .val = 3, .test = 90},
                     folder / "data");
    Json splits = read_json(folder / "data" / "pid_splits.json");
    splits["nobody"] = Json::array();
    write_json(folder / "data" / "pid_splits.json", splits);
    for (const std::string& word :
         {"model=" + (kToy / "llama").string(), "tower=" + (kToy / "tower").string(),
          "data=" + (folder / "data").string(), "out=" + folder.path().string(),
          std::string("fusion.slots=20"), std::string("fusion.rank=4"), std::string("prompt.format=word"),
          std::string("tower_adapters.enabled=false")})
      words.push_back(word);
    Run run(read_run_config({}, words));
    initialise(run.model(), random_key({7}));
    write_adapter_folder(folder / "adapter", run.model(), run.description(1));
  }

  static const Made& once() {
    static const Made made;
    return made;
  }
  std::string eval(const std::vector<std::string>& more) const {
    std::vector<std::string> all{"eval"};
    all.insert(all.end(), words.begin(), words.end());
    all.insert(all.end(), more.begin(), more.end());
    return run_command(add_eval, all);
  }
  std::string generate(const std::vector<std::string>& more) const {
    std::vector<std::string> all{"generate", "--json",       "--model",   kToy / "llama",
                                 "--tower",  kToy / "tower", "--adapter", folder / "adapter"};
    all.insert(all.end(), more.begin(), more.end());
    return run_command(add_generate, all);
  }
};

TEST(Eval, ColumnsAreThoseOfTheOfficialScorerAndFollowFromThePredictions) {
  const Made& made = Made::once();
  for (const char* by : {"likelihood", "generation"}) {
    const auto file = made.folder / "predictions.json";
    const Json json = Json::parse(made.eval({"--by", by, "--json", "--predictions", file}));
    ASSERT_EQ(json["rows"].size(), 1u);
    const ScienceQa data(made.folder / "data");
    const auto score = score_scienceqa(data, "test", read_predictions(file), file.string());
    EXPECT_EQ(json["rows"][0]["not_understood"], score.invalid);
    ASSERT_EQ(json["rows"][0]["columns"].size(), 9u);
    for (const ScoreRow& column : score.columns) {
      EXPECT_EQ(json["rows"][0]["columns"][column.name]["right"], column.right) << column.name;
      EXPECT_EQ(json["rows"][0]["columns"][column.name]["of"], column.of) << column.name;
    }
    EXPECT_EQ(json["rows"][0]["columns"]["Avg"]["of"], 90);
  }
}

TEST(Eval, ImageNeedAddsBlankAndExchangedPictures) {
  const Made& made = Made::once();
  const Json json = Json::parse(made.eval({"--image-need", "--json", "train.limit=20"}));
  ASSERT_EQ(json["rows"].size(), 3u);
  for (const Json& row : json["rows"]) {  // nothing is said of questions without a picture
    EXPECT_EQ(row["columns"]["LAN"], json["rows"][0]["columns"]["LAN"]);
    EXPECT_EQ(row["columns"]["Avg"]["of"], 20);
  }
  for (size_t i = 1; i < 3; ++i) {
    const Json& test = json["rows"][i]["against_own"];
    EXPECT_EQ(json["rows"][0]["columns"]["IMG"]["right"].get<int>() - test["only_own"].get<int>(),
              json["rows"][i]["columns"]["IMG"]["right"].get<int>() - test["only_here"].get<int>());
    EXPECT_GT(test["mcnemar_p"].get<double>(), 0);
  }
  EXPECT_FALSE(json["rows"][0].contains("against_own"));
  const std::string table = made.eval({"--image-need", "train.limit=20"});
  for (const char* part : {"NAT ", "G7-12 ", "Avg ", "blank picture", "another's picture"})
    EXPECT_THAT(table, HasSubstr(part));
}

TEST(Eval, RefusesWhatItCannotAnswer) {
  const Made& made = Made::once();
  const auto config_error = [&](const std::vector<std::string>& more) {
    return message_of<ConfigError>([&] { made.eval(more); });
  };
  EXPECT_THAT(config_error({"eval.split=nobody"}), HasSubstr("has no problems"));
  EXPECT_THAT(config_error({"fusion.scale=0.25"}), HasSubstr("fusion.scale"));
  EXPECT_THAT(config_error({"prompt.format=QCM-A"}), HasSubstr("prompt.format"));
  EXPECT_THAT(config_error({"fusion.name=memvp", "fusion.level=3"}), HasSubstr("the operator dehvf"));
  EXPECT_THAT(config_error({"--image-need", "train.limit=1"}), HasSubstr("--image-need"));
  EXPECT_THAT(message_of<IoError>([&] { made.eval({"eval.split=nosuch"}); }), HasSubstr("nosuch"));
  EXPECT_THAT(message_of<IoError>([&] { made.eval({"--adapter", "/nowhere"}); }), HasSubstr("/nowhere"));
  EXPECT_THAT(message_of<IoError>([&] { made.eval({"data=/nowhere"}); }), HasSubstr("/nowhere"));
  EXPECT_THAT(message_of<ConfigError>([&] { run_command(add_eval, {"eval"}); }), HasSubstr("'out'"));
  // Weights that differ in one number are other models.
  const auto other = made.folder / "other";
  std::filesystem::copy(kToy / "llama", other);
  NamedTensors tensors;
  for (auto& [name, tensor] : load_safetensors(other / "model.safetensors"))
    tensors.emplace_back(name, tensor);
  static_cast<std::byte*>(tensors[0].second.raw())[0] ^= std::byte{1};
  write_safetensors(other / "model.safetensors", tensors, {{"format", "pt"}});
  EXPECT_THAT(config_error({"model=" + other.string()}), HasSubstr("the language model"));
}

TEST(Generate, AsksInTheFormThatTheAdapterLearned) {
  const Made& made = Made::once();
  const auto asked = Json::parse(made.generate({"--prompt", "What colour?", "--hint", "It is red.",
                                                "--choice", "red", "--choice", "blue", "--max-new", "3"}));
  EXPECT_EQ(asked["prompt"], "It is red.\nWhat colour?\nAnswer:");
  const auto raw = Json::parse(made.generate({"--prompt", "What colour?", "--raw", "--max-new", "3"}));
  EXPECT_EQ(raw["prompt"], "What colour?");
  const auto alone = Json::parse(
      run_command(add_generate, {"generate", "--json", "--model", kToy / "llama", "--prompt", "a b"}));
  EXPECT_EQ(alone["prompt"], "a b");
  EXPECT_THAT(message_of<ConfigError>([&] {
                made.generate({"--prompt", "a", "--raw", "--choice", "b"});
              }),
              HasSubstr("taken as it is"));
}

}  // namespace
}  // namespace dehvf::cli
