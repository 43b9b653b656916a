// Pictures decoded ahead of training: the same bits however they are fetched, and clear ends.
#include "train/picture_source.h"

#include <cstring>

#include <gmock/gmock.h>

#include "core/io/file.h"
#include "core/parallel.h"
#include "core/random.h"
#include "support/golden.h"
#include "support/message.h"
#include "toy_mlp.h"
#include "toy_run.h"
#include "train/session.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int64_t kSteps = 6;  // of 4 an epoch: 24 problems by 7

struct Threads {
  explicit Threads(int threads) { set_cpu_threads(threads); }
  ~Threads() { set_cpu_threads(0); }
};

enum class From { files, memory };

// A short training over pictures that are encoded in every step.
struct Training {
  Training(const ToyFiles& files, From from, int ahead, int decoders)
      : run(files.run({"tower_adapters.enabled=true"})), data(run.load("train", Use::training)) {
    initialise(run.model(), 3);
    if (from == From::memory)
      data.pictures = std::make_unique<PictureSource>(
          run.model(), load_pixels(files.pictures(), image_recipe("plain", 32)), false);
    AdapterTask::Options options = run.config().batches;
    options.ahead = ahead, options.decoders = decoders;
    task.emplace(run.model(), run.model(), data.examples, data.pictures.get(), options);
    trainer.emplace(*task, TrainerOptions{.steps = kSteps, .schedule = {.peak = 0.01, .steps = kSteps}});
  }
  std::vector<float> go(const std::filesystem::path& checkpoints = {}, int64_t stop_at = 0) {
    RunLog log;
    run_session(*trainer, *task, log, {.checkpoints = checkpoints, .resume = !checkpoints.empty()},
                {.stop = [&] { return trainer->steps_done() == stop_at; }});
    return numbers(trainer->parameters().buffers().value);
  }

  Run run;
  SplitData data;
  std::optional<AdapterTask> task;
  std::optional<Trainer> trainer;
};

bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

Variable loss_of(AdapterTask& task, int micro_batch, const Tensor& state) {
  return task.loss(micro_batch, task.inputs(micro_batch), state);
}

TEST(PictureSource, TheSameBitsHoweverPicturesAreDecoded) {
  const ToyFiles files;
  Training in_memory(files, From::memory, 64, 2);
  ASSERT_FALSE(in_memory.data.pictures->cached());
  const auto want = in_memory.go();
  for (const auto& [ahead, decoders, threads] :
       {std::tuple{1, 1, 1}, {3, 2, 2}, {5, 4, 3}, {64, 1, 2}, {1000, 6, 1}}) {
    const Threads limit(threads);
    Training training(files, From::files, ahead, decoders);
    EXPECT_EQ(training.go(), want) << ahead << " ahead, " << decoders << " decoders, " << threads
                                   << " threads";
  }
}

TEST(PictureSource, StoppedInMidEpochItGoesOnBitForBit) {
  const ToyFiles files;
  const auto want = Training(files, From::files, 3, 2).go();
  for (int64_t stop_at : {1, 3, 4, 5}) {
    const TemporaryFolder folder;
    Training(files, From::files, 64, 2).go(folder.path(), stop_at);
    EXPECT_EQ(Training(files, From::files, 2, 1).go(folder.path()), want) << "stopped at " << stop_at;
  }
}

TEST(PictureSource, SeeksAwayFromWhatWasDecodedAhead) {
  const ToyFiles files;
  Training training(files, From::files, 64, 2), other(files, From::memory, 1, 1);
  training.task->prepare(0), other.task->prepare(0);
  const std::string second = training.task->cursor();  // not the epoch's first batch
  training.task->prepare(1);
  training.task->seek(second);
  training.task->prepare(1), other.task->prepare(1);
  const NoGrad no_grad;
  const Tensor state = step_state(kCpu);
  EXPECT_TRUE(equal(loss_of(*training.task, 0, state).value(), loss_of(*other.task, 0, state).value()));
  EXPECT_TRUE(equal(loss_of(*training.task, 1, state).value(), loss_of(*other.task, 1, state).value()));
  EXPECT_TRUE(equal(loss_of(*training.task, 0, state).value(),
                    loss_of(*other.task, 0, state).value()));  // may be asked again
}

TEST(PictureSource, EverySampleMeetsItsOwnPicture) {
  const ToyFiles files;
  auto run = files.run({"fusion.lambda=1"});
  initialise(run.model(), 3);
  const SplitData data = run.load("train", Use::training);
  const auto paths = files.pictures();
  const PictureSource lazy(run.model(), paths, image_recipe("plain", 32), false);
  AdapterTask cached(run.model(), run.model(), data.examples, data.pictures.get(), run.config().batches);
  AdapterTask decoded(run.model(), run.model(), data.examples, &lazy, run.config().batches);
  const NoGrad no_grad;
  const Tensor state = step_state(kCpu);
  for (uint64_t step = 0; step < 6; ++step) {
    const int micro_batches = cached.prepare(step);
    write_step({.step = step, .loss_scale = float(cached.loss_scale())}, state);
    ASSERT_EQ(decoded.prepare(step), micro_batches);
    for (int i = 0; i < micro_batches; ++i)
      EXPECT_NEAR(item(loss_of(decoded, i, state).value()), item(loss_of(cached, i, state).value()), 1e-5);
  }
}

TEST(PictureSource, CachedLevelsAreThoseOfTheirPixels) {
  const ToyFiles files;
  auto run = files.run();
  const SplitData data = run.load("train", Use::training);
  ASSERT_TRUE(data.pictures->cached());
  const auto paths = files.pictures();
  auto other = files.run();
  const PictureSource memory(other.model(), load_pixels(paths, image_recipe("plain", 32)), true);
  const PictureSource lazy(other.model(), paths, image_recipe("plain", 32), false);
  EXPECT_EQ(data.pictures->count(), int64_t(paths.size()));
  EXPECT_EQ(memory.count(), lazy.count());
  const std::vector<int32_t> chosen{5, PictureSource::kBlank, 0, 5};
  const TowerLevels a = data.pictures->levels(chosen), b = memory.levels(chosen), c = lazy.levels(chosen);
  ASSERT_EQ(a.after_block.size(), 8u);
  EXPECT_EQ(a.images, 4);
  for (const auto& [level, value] : a.after_block) {
    EXPECT_TRUE(equal(value.value(), b.after_block.at(level).value()));
    EXPECT_LT(relative_error(c.after_block.at(level).value(), value.value()), 1e-5);  // another batch
    EXPECT_TRUE(equal(value.value()[0], value.value()[3]));
    EXPECT_FALSE(equal(value.value()[0], value.value()[1]));
  }
}

TEST(PictureSource, ADamagedPictureIsNamed) {
  const ToyFiles files;
  Training training(files, From::files, 64, 3);
  const auto damaged = files.pictures()[3];
  write_file(damaged, read_file(damaged).substr(0, 60));
  EXPECT_THAT(message_of<IoError>([&] { training.go(); }),
              AllOf(HasSubstr(damaged.string()), Not(HasSubstr("\n"))));
  auto run = files.run();  // levels are kept: it is met before training
  EXPECT_THAT(message_of<IoError>([&] { run.load("train", Use::training); }), HasSubstr(damaged.string()));
}

TEST(PictureSource, AStepThatThrowsLeavesNothingBehind) {
  const ToyFiles files;
  for (int ahead : {1, 64}) {
    Training training(files, From::files, ahead, 3);
    for (Example& example : training.data.examples) example.tokens[0] = 1 << 20;  // no such token
    training.task->prepare(0);
    EXPECT_THROW(loss_of(*training.task, 0, step_state(kCpu)), Error);
  }
}

}  // namespace
}  // namespace dehvf
