// Samples with two pictures (NLVR2's layout), from the folder to the score.
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/ops/step_state.h"
#include "core/random.h"
#include "data/scene_sets.h"
#include "data/scorers/nlvr2_score.h"
#include "support/golden.h"
#include "support/message.h"
#include "toy_run.h"
#include "train/adapter_task.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::HasSubstr;

bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

struct ImagePairs : testing::Test {
  const ToyFiles files;
  const std::filesystem::path folder = files / "pairs";

  void SetUp() override {
    write_scene_set(SceneWorld::shapes(), SceneFormat::pairs, {.train = 16, .val = 4, .test = 8}, folder);
  }
  dehvf::Run run(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> keys{"data=" + folder.string(), "fusion.images=2", "fusion.slots=40",
                                  "fusion.lambda=1"};
    keys.insert(keys.end(), more.begin(), more.end());
    dehvf::Run run = files.run(keys);
    initialise(run.model(), 3);
    return run;
  }
  // Of the training samples, as the format's own reader has them.
  std::vector<PicturePaths> pictures() const {
    std::vector<PicturePaths> found;
    for (const Nlvr2Sample& sample : read_nlvr2(folder / "train.json"))
      found.push_back(
          {picture_file(folder, "train", {sample.left()}), picture_file(folder, "train", {sample.right()})});
    return found;
  }
};

TEST_F(ImagePairs, EverySampleSeesItsOwnTwo) {
  auto run = this->run();
  const SplitData data = run.load("train", Use::training);
  const auto paths = pictures();
  ASSERT_EQ(data.examples.size(), paths.size());
  EXPECT_EQ(data.pictures->count(), int64_t(std::set(paths.begin(), paths.end()).size()));
  ASSERT_TRUE(data.pictures->cached());
  const ImageRecipe recipe = image_recipe("plain", 32);
  for (size_t i = 0; i < paths.size(); ++i) {
    const int32_t index = data.examples[i].image;
    const Tensor pixels = load_pixels(paths[i], recipe);
    EXPECT_TRUE(equal(data.pictures->pixels(index), pixels)) << i;
    const TowerLevels seen = run.model().look(pixels), kept = data.pictures->levels(std::vector{index});
    EXPECT_EQ(kept.images, 2);
    for (const auto& [level, value] : seen.after_block)
      EXPECT_LT(relative_error(kept.after_block.at(level).value(), value.value()), 1e-5) << i;
  }
  const TowerLevels blank = data.pictures->levels(std::vector{PictureSource::kBlank, 0});
  EXPECT_EQ(blank.images, 4);
  const Tensor level = blank.after_block.at(8).value();
  EXPECT_TRUE(equal(level[0], level[1]));
  EXPECT_FALSE(equal(level[2], level[3]));
}

TEST_F(ImagePairs, KeptDecodedAndFromMemoryTrainingIsTheSame) {
  auto run = this->run();
  const SplitData data = run.load("train", Use::training);
  std::vector<std::filesystem::path> paths(size_t(2 * data.pictures->count()));
  const auto of_samples = pictures();
  for (size_t i = 0; i < of_samples.size(); ++i)
    for (size_t p : {0, 1}) paths[2 * size_t(data.examples[i].image) + p] = of_samples[i][p];
  const ImageRecipe recipe = image_recipe("plain", 32);
  const PictureSource lazy(run.model(), paths, recipe, false),
      memory(run.model(), load_pixels(paths, recipe), false);
  const auto losses = [&](const PictureSource& pictures) {
    AdapterTask task(run.model(), run.model(), data.examples, &pictures, run.config().batches);
    const NoGrad no_grad;
    const Tensor state = step_state(kCpu);
    std::vector<double> found;
    for (uint64_t step = 0; step < 5; ++step) {
      const int parts = task.prepare(step);
      write_step({.step = step, .loss_scale = float(task.loss_scale())}, state);
      for (int i = 0; i < parts; ++i) found.push_back(item(task.loss(i, task.inputs(i), state).value()));
    }
    return found;
  };
  const auto wanted = losses(*data.pictures), decoded = losses(lazy);
  ASSERT_EQ(wanted.size(), decoded.size());
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(decoded[i], wanted[i], 1e-5);
  EXPECT_EQ(losses(memory), decoded);
}

TEST_F(ImagePairs, IsLearnedAndScored) {
  auto run = this->run({"train.batch=8", "train.micro_batch=8", "train.limit=8", "tune=full"});
  const SplitData data = run.load("train", Use::training);
  AdapterTask task(run.model(), run.model(), data.examples, data.pictures.get(), run.config().batches);
  Trainer trainer(task, {.steps = 100, .schedule = {.peak = 2e-3, .warmup = 1, .steps = 100}});
  trainer.run([](const StepReport&) { return true; });

  const SplitData test = run.load("train", Use::evaluation);
  const auto right = [&](Show show) {
    std::vector<Reply> replies;
    const int64_t count = test.pictures->count();
    const auto ranked = rank_choices(run.model(), test.exam->questions, test.pictures.get(), [&](size_t i) {
      return shown_picture(show, test.exam->questions[i].image, count);
    });
    for (const Ranking& ranking : ranked) replies.push_back({.choice = ranking.chosen});
    return test.exam->score(replies).figures[0].value;
  };
  EXPECT_GT(right(Show::own), 0.9);  // learned by heart; each statement is true of half of its pictures
  EXPECT_EQ(right(Show::blank), 0.5);
}

TEST_F(ImagePairs, OtherNumbersOfPicturesAreRefused) {
  const auto complaint = [&](dehvf::Run run, Use use) {
    return message_of<ConfigError>([&] { run.load("train", use); });
  };
  for (const Use use : {Use::training, Use::evaluation}) {
    EXPECT_THAT(complaint(run({"fusion.images=1"}), use),
                HasSubstr("sample 0 of 'train': wanted no picture or fusion.images=1, found 2"));
    EXPECT_THAT(complaint(run({"fusion.images=3", "fusion.slots=60"}), use),
                HasSubstr("fusion.images=3, found 2"));
    EXPECT_THAT(complaint(run({"data=" + files.data().string()}), use),
                HasSubstr("fusion.images=2, found 1"));
  }
  EXPECT_THAT(message_of<ConfigError>([&] { run({"fusion.slots=20"}); }),
              AllOf(HasSubstr("20 slots for 32 patches of 2 images"), HasSubstr("as many slots")));
  auto one = run({"fusion.images=1"}), two = run();
  EXPECT_THAT(message_of<ConfigError>([&] { two.check(one.description(1)); }),
              AllOf(HasSubstr("images"), HasSubstr("change fusion.images")));
  EXPECT_THROW(PictureSource(two.model(), random_normal({3, 3, 32, 32}, 1, 1), false), ShapeError);
}

}  // namespace
}  // namespace dehvf
