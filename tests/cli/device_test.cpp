// dehvf train, eval and generate on the emulated device, to their ends, beside the same commands on the CPU.
#include <filesystem>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/commands.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "data/scene_generator.h"
#include "models/llama_config.h"
#include "models/vision_config.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf::cli {
namespace {

const std::filesystem::path kToy = DEHVF_SOURCE_DIR "/examples/toy";

// Two steps of the same four problems, with and without a picture; each step is logged and kept.
struct TwoSteps {
  TwoSteps() { write_scene_data(SceneWorld::shapes(), {.train = 4, .val = 2, .test = 2}, folder / "data"); }

  std::vector<std::string> words(std::string command, const std::string& device) const {
    return {std::move(command),
            "--device",
            device,
            "--json",
            "model=" + (kToy / "llama").string(),
            "tower=" + (kToy / "tower").string(),
            "data=" + (folder / "data").string(),
            "out=" + (folder / "out").string(),
            "fusion.slots=20",
            "fusion.rank=8",
            "fusion.lambda=1",
            "fusion.dropout=0.1",
            "fusion.blocks=2",
            "prompt.format=word",
            "tower_adapters.rank=4",
            "train.rate=4e-3",
            "train.epochs=2",
            "train.warmup_epochs=0",
            "train.batch=4",
            "train.micro_batch=4",
            "train.log_every=1",
            "train.checkpoint_every=1"};
  }
  Json train(const std::string& device) const {
    auto all = words("train", device);
    all.insert(all.end(), {"--resume", "auto"});
    return Json::parse(run_command(add_train, all));
  }
  std::vector<Json> log() const {  // a line a step
    std::vector<Json> lines;
    std::istringstream text(read_file(folder / "out" / "log.jsonl"));
    for (std::string line; std::getline(text, line);)
      if (Json json = Json::parse(line); json.contains("loss")) lines.push_back(std::move(json));
    return lines;
  }
  void forget(const std::string& name) const { std::filesystem::remove_all(folder / "out" / name); }

  TemporaryFolder folder;
};

// Each device's products are within 4 eps_f32 sqrt(K) of exact ones (contracts: tolerances), and what lies
// behind one another adds up: six products a block in tower and language model (the rows' two among them),
// the head, and as many again backward.
double bound() {
  std::vector<std::string> notes;
  const LlamaConfig llama = read_llama_config(kToy / "llama", notes);
  const VisionConfig tower = read_vision_config(kToy / "tower");
  const double products = 2 * (6.0 * (llama.layers + tower.layers) + 1);
  return 2 * 4 * 0x1p-24 * std::sqrt(double(llama.width)) * products;  // two devices
}

void expect_equal(const Json& found, const Json& wanted) {
  for (const char* key : {"loss", "grad_norm"})
    EXPECT_NEAR(found[key].get<double>(), wanted[key].get<double>(), bound() * wanted[key].get<double>())
        << key << " of step " << wanted["step"];
  EXPECT_EQ(found["lr"], wanted["lr"]);
}

TEST(TrainOnTheEmulator, StepsAreThoseOfTheCpuAndResumeCrossesDevices) {
  EXPECT_LT(bound(), 1e-3);
  const TwoSteps run;
  const Json said = run.train("cpu");
  EXPECT_EQ(said["steps"], 2);
  EXPECT_NEAR(said["forecast"]["memory"]["more_percent"], 0, 3) << said["forecast"];
  EXPECT_EQ(read_json(run.folder / "out" / "forecast.json"), said["forecast"]);
  const std::vector<Json> cpu = run.log();
  ASSERT_EQ(cpu.size(), 2u);
  // From the CPU's first checkpoint on: Adam's first update divides by the gradient, so two runs from the
  // start differ by whole updates where a gradient is rounding noise.
  std::filesystem::path last;
  for (const auto& entry : std::filesystem::directory_iterator(run.folder / "out" / "checkpoints"))
    last = std::max(last, entry.path());
  std::filesystem::remove_all(last);
  EXPECT_EQ(run.train("emulator")["steps"], 2);
  ASSERT_EQ(run.log().size(), 2u);
  expect_equal(run.log()[1], cpu[1]);
  EXPECT_NE(run.log()[1]["grad_norm"], cpu[1]["grad_norm"]) << "bits of another device would be a surprise";

  for (const char* name : {"checkpoints", "log.jsonl", "adapter"}) run.forget(name);
  EXPECT_EQ(run.train("emulator")["steps"], 2);
  const std::vector<Json> emulated = run.log();
  ASSERT_EQ(emulated.size(), 2u);
  expect_equal(emulated[0], cpu[0]);

  // The adapter that the emulator wrote answers alike on both.
  const auto ask = [&](const std::string& device) {
    auto all = run.words("eval", device);
    const Json rows = Json::parse(run_command(add_eval, all))["rows"];
    const Json said = Json::parse(run_command(
        add_generate,
        {"generate", "--json", "--device", device, "--model", kToy / "llama", "--tower", kToy / "tower",
         "--adapter", run.folder / "out" / "adapter", "--prompt", "What colour?", "--max-new", "2"}));
    return Json{{"columns", rows[0]["columns"]}, {"tokens", said["tokens"]}};
  };
  EXPECT_EQ(ask("emulator"), ask("cpu"));
}

TEST(FindNan, IsAKeyLikeAnyOther) {
  const TwoSteps run;
  for (const char* device : {"cpu", "emulator"}) {
    auto all = run.words("train", device);
    all.insert(all.end(), {"train.rate=1e25", "find_nan=true"});
    EXPECT_THAT(
        message_of<Error>([&] { run_command(add_train, all); }),
        testing::AllOf(testing::StartsWith("find_nan: "), testing::HasSubstr(concat(" on ", device, ": ")),
                       testing::HasSubstr("; in forward")));
    run.forget("checkpoints");
  }
}

}  // namespace
}  // namespace dehvf::cli
