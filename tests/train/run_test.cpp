// What a run refuses before it trains, and that its adapter opens as the model that was trained.
#include "train/run.h"

#include <gmock/gmock.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "core/random.h"
#include "data/length_buckets.h"
#include "support/message.h"
#include "toy_run.h"
#include "train/open_model.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct RunTest : testing::Test {
  const ToyFiles files;

  std::string refusal(const std::vector<std::string>& changes) const {
    return message_of<ConfigError>([&] { files.run(changes); });
  }
  void change_recipe(const Json& changes) const {
    const auto path = files.tower() / "preprocessor_config.json";
    Json json = read_json(path);
    json.update(changes);
    write_json(path, json);
  }
};

TEST_F(RunTest, TheTowersOwnRecipeIsTaken) {
  EXPECT_THAT(files.run().notes(), IsEmpty());
  EXPECT_THAT(files.run({"image_recipe=plain"}).notes(), IsEmpty());
  EXPECT_EQ(files.run().description(0).image_recipe, "plain");
  change_recipe({{"image_mean", {0.5, 0.5, 0.25}}});
  EXPECT_EQ(files.run().description(0).image_recipe, "");
}

TEST_F(RunTest, StatisticsOfAnotherTowerStopIt) {
  EXPECT_THAT(refusal({"image_recipe=memvp"}),
              AllOf(HasSubstr("preprocessor_config.json"), HasSubstr("the tower wants [0.5 0.5 0.5]"),
                    HasSubstr("image_mismatch=true"), Not(HasSubstr("\n"))));
  change_recipe({{"image_std", {0.5, 0.5, 0.25}}});
  EXPECT_THAT(refusal({"image_recipe=plain"}), HasSubstr("deviation"));
  auto meant = files.run({"image_recipe=plain", "image_mismatch=true"});
  EXPECT_THAT(meant.notes(), ElementsAre(HasSubstr("deviation")));
  EXPECT_EQ(meant.description(0).image_recipe, "plain");
}

// Whose attention is written out trains as the others do; f32 rounds otherwise.
TEST_F(RunTest, EagerAttentionTrainsLikeTheFusedOne) {
  EXPECT_THAT(refusal({"attention=flash"}),
              AllOf(HasSubstr("attention"), HasSubstr("wanted fused or eager, found 'flash'")));
  const auto losses = [&](const std::string& attention) {
    auto run = files.run({"attention=" + attention, "train.limit=8", "train.batch=4", "train.micro_batch=4"});
    initialise(run.model(), 3);
    const SplitData data = run.load("train", Use::training);
    AdapterTask task(run.model(), run.model(), data.examples, data.pictures.get(), run.config().batches);
    Trainer trainer(task, {.steps = 4, .schedule = {.peak = 1e-2, .warmup = 1, .steps = 4}});
    std::vector<double> each;
    trainer.run([&](const StepReport& report) {
      each.push_back(report.loss);
      return true;
    });
    return each;
  };
  const std::vector<double> fused = losses("fused"), eager = losses("eager");
  ASSERT_EQ(fused.size(), 4u);
  ASSERT_EQ(eager.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(eager[i], fused[i], 1e-4 * fused[i]) << i;
  EXPECT_NE(eager, fused);  // else the key did nothing
}

TEST_F(RunTest, AnotherFitIsANote) {
  change_recipe({{"do_center_crop", true}, {"crop_size", 32}, {"size", 40}});
  EXPECT_THAT(files.run({"image_recipe=plain"}).notes(), ElementsAre(HasSubstr("centre crop")));
}

TEST_F(RunTest, PicturesOfAnotherSizeStopIt) {
  change_recipe({{"size", 40}});
  EXPECT_THAT(refusal({}), AllOf(HasSubstr("40 pixels"), HasSubstr("takes 32")));
}

TEST_F(RunTest, WithoutARecipeOneMustBeNamed) {
  std::filesystem::remove(files.tower() / "preprocessor_config.json");
  EXPECT_THAT(refusal({}), HasSubstr("name a recipe instead"));
  EXPECT_THAT(files.run({"image_recipe=memvp"}).notes(), IsEmpty());
}

TEST_F(RunTest, CaptionsInTrainingOrEvaluationAloneStopIt) {
  const auto plain = files.run(), captions = files.run({"prompt.captions=true"});
  plain.check(plain.description(3));
  captions.check(captions.description(3));
  for (const auto& [trained, here] : {std::pair(&plain, &captions), {&captions, &plain}})
    EXPECT_THAT(message_of<ConfigError>([&, t = trained, h = here] { h->check(t->description(3)); }),
                AllOf(HasSubstr("word with captions"), HasSubstr("prompt.captions"), Not(HasSubstr("\n"))));
}

TEST_F(RunTest, AProblemWithoutRoomForALabelStopsIt) {
  auto run = files.run({"prompt.max_tokens=1"});
  EXPECT_THAT(message_of<ConfigError>([&] { run.load("train", Use::training); }),
              AllOf(HasSubstr("problem "), HasSubstr("labelled tokens"), Not(HasSubstr("\n"))));
}

TEST_F(RunTest, AStepWithoutALabelledTokenStopsIt) {
  auto run = files.run();
  SplitData data = run.load("train", Use::training);
  for (Example& example : data.examples) example.labels.assign(example.labels.size(), kIgnored);
  AdapterTask task(run.model(), run.model(), data.examples, data.pictures.get(), run.config().batches);
  EXPECT_THAT(message_of<ConfigError>([&] { task.prepare(5); }),
              AllOf(HasSubstr("step 5"), HasSubstr("no labelled token"), Not(HasSubstr("\n"))));
}

TEST_F(RunTest, AMissingPictureIsNamedBeforeTraining) {
  auto run = files.run();
  const auto gone = files.pictures().back();
  std::filesystem::remove(gone);
  for (const Use use : {Use::training, Use::evaluation})
    EXPECT_THAT(message_of<IoError>([&] { run.load("train", use); }),
                AllOf(HasSubstr(files.data().string()),
                      HasSubstr(gone.lexically_relative(files.data()).string()), Not(HasSubstr("\n"))));
}

TEST_F(RunTest, AStepThatDoesNotFitIsRefusedBeforeWeightsAreRead) {
  namespace fs = std::filesystem;
  fs::copy(files.llama(), files / "wide");
  Json config = read_json(files / "wide" / "config.json");
  config.update({{"hidden_size", 1 << 14}, {"intermediate_size", 1 << 16}, {"num_hidden_layers", 40}});
  write_json(files / "wide" / "config.json", config);
  const std::string wide = "model=" + (files / "wide").string();  // its weights are not of these shapes
  const auto refused = [&](const std::string& more) {
    return message_of<ConfigError>([&] {
      dehvf::Run(files.config({wide, "fusion.name=none", "lora.rank=2", more}), Use::training);
    });
  };
  EXPECT_THAT(refused("train.batch=7"),
              AllOf(testing::StartsWith("memory: in the largest training step "),
                    HasSubstr(" GB are held (weights "), HasSubstr("cpu has "),
                    HasSubstr(" GB too little; take a smaller train.micro_batch"), Not(HasSubstr("\n"))));
  EXPECT_THAT(refused("train.split=nosuch"), HasSubstr("nosuch"));  // texts come first
}

TEST_F(RunTest, TheForecastIsOfTheLargestMicroBatchOfTheRun) {
  auto run = dehvf::Run(files.config({"fusion.slots=20", "train.epochs=2"}), Use::training);
  EXPECT_EQ(run.steps(24), 8);  // of 7 texts
  const size_t two_epochs = run.forecast().bytes();
  const SplitData data = run.load("train", Use::training);
  EXPECT_TRUE(data.pictures->cached());
  EXPECT_EQ(run.forecast().memory[size_t(Purpose::caches)],
            backend(kCpu).memory().now()[size_t(Purpose::caches)]);
  EXPECT_LT(
      dehvf::Run(files.config({"fusion.slots=20", "train.micro_batch=1"}), Use::training).forecast().bytes(),
      two_epochs);
  EXPECT_EQ(run.load("train", Use::training).examples.size(), data.examples.size());  // read again
}

TEST(LargestMicroBatches, NoneOfTheRunHasMore) {
  std::vector<Example> examples;
  Random random(5);
  for (int64_t id = 0; id < 101; ++id)
    examples.push_back({.tokens = std::vector<int32_t>(1 + random.below(40)),
                        .labels = {},
                        .image = random.below(2) ? int32_t(id) : -1,
                        .id = id});
  const AdapterTask::Options options{.batch = 12, .micro_batch = 5, .seed = 3};
  const auto size_of_all = [](const std::vector<Example>& all) {
    std::pair<int64_t, int64_t> size;
    for (const Example& example : all)
      size.first += int64_t(example.tokens.size()), size.second += example.image != -1;
    return size;
  };
  const auto largest = largest_micro_batches(examples, options, 20);
  std::vector<int64_t> lengths;
  for (const Example& example : examples) lengths.push_back(int64_t(example.tokens.size()));
  BatchSequence sequence(lengths, options.batch, options.seed);
  std::vector<bool> met(largest.size());
  for (int step = 0; step < 20; ++step) {
    const std::vector<int64_t> batch = sequence.next();
    for (size_t begin = 0; begin < batch.size(); begin += 5) {
      std::vector<Example> part;
      for (size_t i = begin; i < std::min(batch.size(), begin + 5); ++i)
        part.push_back(examples[size_t(batch[i])]);
      const auto [tokens, pictures] = size_of_all(part);
      bool covered = false;
      for (size_t i = 0; i < largest.size(); ++i) {
        const auto [most_tokens, most_pictures] = size_of_all(largest[i]);
        covered |= most_tokens >= tokens && most_pictures >= pictures;
        if (part.size() == largest[i].size() && part[0].id == largest[i][0].id) met[i] = true;
      }
      EXPECT_TRUE(covered) << tokens << " tokens, " << pictures << " pictures";
    }
  }
  EXPECT_GT(largest.size(), 1u);
  EXPECT_THAT(met, testing::Each(true));
}

TEST_F(RunTest, ItsAdapterOpensAsTheModelTrained) {
  auto run = files.run();
  initialise(run.model(), 7);
  const auto folder = files / "adapter";
  write_adapter_folder(folder, run.model(), run.description(1));
  const ModelFiles named{
      .llama = files.llama(), .tower = files.tower(), .adapter = folder, .fusion = {}, .options = {}};
  const OpenedModel opened = open_model(named, DType::f32);
  EXPECT_THAT(opened.notes, IsEmpty());
  EXPECT_EQ(opened.recipe->name, "plain");
  verify_adapter_folder(folder, *opened.model, run.description(1));
  change_recipe({{"image_mean", {0.4, 0.5, 0.5}}});
  const OpenedModel other = open_model(named, DType::f32);
  EXPECT_THAT(other.notes, ElementsAre(HasSubstr("the tower wants [0.4")));
  EXPECT_EQ(other.recipe->mean[0], 0.5);  // as it was trained
}

}  // namespace
}  // namespace dehvf
