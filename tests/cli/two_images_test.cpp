// Questions with two pictures in the commands: evaluated and scored, written, exported.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/commands.h"
#include "core/io/json.h"
#include "core/random.h"
#include "data/scene_sets.h"
#include "models/generate.h"
#include "support/message.h"
#include "support/temporary_folder.h"
#include "train/open_model.h"
#include "train/run.h"

namespace dehvf::cli {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kToy = DEHVF_SOURCE_DIR "/examples/toy";

struct TwoImages : testing::Test {
  TemporaryFolder folder;
  std::vector<std::string> words;

  void SetUp() override {
    write_scene_set(SceneWorld::shapes(), SceneFormat::pairs, {.train = 4, .val = 4, .test = 24},
                    folder / "data");
    words = {"model=" + (kToy / "llama").string(),
             "tower=" + (kToy / "tower").string(),
             "data=" + (folder / "data").string(),
             "out=" + folder.path().string(),
             "fusion.images=2",
             "fusion.name=llava",
             "tower_adapters.enabled=false"};
    dehvf::Run run(read_run_config({}, words));
    initialise(run.model(), random_key({7}));
    write_adapter_folder(folder / "adapter", run.model(), run.description(1));
  }
  std::string command(void (*add)(CLI::App&, Action&), std::vector<std::string> all,
                      const std::vector<std::string>& more) const {
    all.insert(all.end(), more.begin(), more.end());
    return run_command(add, all);
  }
  std::string picture(int pair, int side) const {
    return folder / "data" / "images" / "test" / concat("test-", pair, "-0-img", side, ".png");
  }
};

TEST_F(TwoImages, AreEvaluatedAsTheyAreScored) {
  const auto file = (folder / "predictions").string();
  std::vector<std::string> eval{"eval"};
  eval.insert(eval.end(), words.begin(), words.end());
  const Json json = Json::parse(command(add_eval, eval, {"--image-need", "--json", "--predictions", file}));
  ASSERT_EQ(json["rows"].size(), 3u);
  const Json scored = Json::parse(run_command(add_score, {"score", "nlvr2", "--json", "--predictions", file,
                                                          "--references", folder / "data/test.json"}));
  const Json& own = json["rows"][0]["columns"];
  for (const char* figure : {"accuracy", "consistency"})
    EXPECT_NEAR(own[figure]["right"].get<double>() / own[figure]["of"].get<double>(),
                scored["figures"][figure].get<double>(), 1e-12)
        << figure;
  EXPECT_EQ(scored["samples"], 24);
}

TEST_F(TwoImages, AreShownInTheirOrder) {
  const std::vector<std::string> command_words{
      "generate", "--json",       "--raw",   "--temperature", "4",         "--max-new",        "12",
      "--model",  kToy / "llama", "--tower", kToy / "tower",  "--adapter", folder / "adapter", "--prompt",
      "Both"};
  const auto tokens = [&](const std::vector<std::string>& images) {
    std::vector<std::string> more;
    for (const std::string& image : images) more.insert(more.end(), {"--image", image});
    return Json::parse(command(add_generate, command_words, more))["tokens"];
  };
  const OpenedModel opened = open_model(
      {.llama = kToy / "llama", .tower = kToy / "tower", .adapter = folder / "adapter"}, DType::f32);
  const auto tokenizer = open_tokenizer(kToy / "llama");
  const NoGrad no_grad;
  const std::vector<std::vector<int32_t>> prompt{tokenizer->encode("Both", tokenizer->bos() >= 0)};
  const auto wanted = [&](const std::vector<std::filesystem::path>& images) {
    const Vision vision = opened.model->see(opened.model->look(load_pixels(images, *opened.recipe)));
    const auto stop = stop_ids(opened.model->llama().config(), *tokenizer);
    return Json(generate(opened.model->llama(), vision, pack(prompt, std::vector<int32_t>{0}),
                         {.max_new = 12, .stop = stop, .temperature = 4})[0]
                    .tokens);
  };
  const std::string left = picture(0, 0), right = picture(0, 1);
  EXPECT_EQ(tokens({left, right}), wanted({left, right}));
  EXPECT_EQ(tokens({right, left}), wanted({right, left}));
  EXPECT_NE(tokens({left, right}), tokens({right, left}));
  for (const std::vector<std::string>& images : {std::vector{left}, {left, right, left}})
    EXPECT_THAT(message_of<ConfigError>([&] { tokens(images); }),
                HasSubstr(concat("takes 2 (fusion.images) or none, found ", images.size())));
}

TEST_F(TwoImages, AreRefusedWhereOneIsMeant) {
  EXPECT_THAT(message_of<ConfigError>([&] {
                run_command(add_export, {"export", "--adapter", folder / "adapter", "--published", "--out",
                                         folder / "theirs"});
              }),
              HasSubstr("wanted images 1, found 2"));
}

}  // namespace
}  // namespace dehvf::cli
