#include "train/session.h"

#include <cmath>
#include <fstream>

#include <gmock/gmock.h>

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "core/random.h"
#include "support/message.h"
#include "support/temporary_folder.h"
#include "toy_mlp.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kRows = 24, kBatch = 8, kSteps = 23;

// Regression of random numbers on random numbers, shuffled anew in every pass over them.
class ToyTask : public Task {
 public:
  ToyTask(ToyMlp& toy, int micro_batches) : toy_(toy), micro_batches_(micro_batches) {}

  Module& trained() override { return toy_; }
  int prepare(uint64_t step) override {
    step_ = int64_t(step);
    std::vector<int64_t> order(kRows);
    for (int64_t i = 0; i < kRows; ++i) order[size_t(i)] = i;
    Random random(random_key({17, uint64_t(at_ / kRows)}));
    random.shuffle(order);
    chosen_.assign(order.begin() + at_ % kRows, order.begin() + at_ % kRows + kBatch);
    at_ += kBatch;
    return micro_batches_;
  }
  Variable loss(int micro_batch, std::span<const Tensor>, const Tensor&) override {
    const int64_t count = kBatch / micro_batches_;
    Tensor x({count, 5}, DType::f32), y({count, 3}, DType::f32);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = chosen_[size_t(micro_batch * count + i)];
      copy_into(inputs_[row], x[i]);
      copy_into(targets_[row], y[i]);
    }
    if (step_ >= bad_from && step_ < bad_to) x.data<float>()[1] = NAN;
    const DType dtype = toy_.first.weight.value().dtype();
    const Variable error = add(cast(toy_(cast(x, dtype)), DType::f32), scale(y, -1));
    return scale(sum_all(multiply(error, error)), 1.0 / (kBatch * 3));
  }
  int64_t tokens() const override { return kBatch; }
  std::string cursor() const override { return std::to_string(at_); }
  void seek(const std::string& cursor) override { at_ = std::stoll(cursor); }

  int64_t bad_from = 0, bad_to = 0;  // steps whose input holds a NaN

 private:
  ToyMlp& toy_;
  int micro_batches_;
  Tensor inputs_ = random_normal({kRows, 5}, 1, 1), targets_ = random_normal({kRows, 3}, 1, 2);
  std::vector<int64_t> chosen_;
  int64_t at_ = 0, step_ = 0;
};

struct ToyRun {
  explicit ToyRun(int micro_batches = 2, int max_skips = 10) : task(toy, micro_batches) {
    initialise(toy, 5);
    trainer.emplace(task, TrainerOptions{.steps = kSteps,
                                         .schedule = {.peak = 0.02, .warmup = 3, .steps = kSteps},
                                         .max_skips = max_skips});
  }
  bool go(const std::filesystem::path& folder = {}, int64_t stop_at = 0,
          const std::filesystem::path& log_folder = {}) {
    RunLog log(log_folder);
    return run_session(*trainer, task, log,
                       {.log_every = 5, .checkpoint_every = 4, .checkpoints = folder, .resume = resume},
                       {.stop = [&] { return trainer->steps_done() == stop_at; },
                        .after_step = [&](const StepReport& report) { losses.push_back(report.loss); },
                        .note = [&](const std::string& text) { notes.push_back(text); }});
  }
  std::vector<float> final() const { return numbers(trainer->parameters().buffers().value); }

  ToyMlp toy;
  ToyTask task;
  std::optional<Trainer> trainer;
  bool resume = true;
  std::vector<double> losses;
  std::vector<std::string> notes;
};

TEST(Session, TheLossFalls) {
  ToyRun run;
  EXPECT_TRUE(run.go());
  EXPECT_EQ(run.losses.size(), size_t(kSteps));
  EXPECT_LT(run.losses.back(), 0.7 * run.losses.front());
  EXPECT_THAT(run.notes, IsEmpty());
}

TEST(Session, TwoHalvesAreOneBatchUpToRounding) {
  ToyRun whole(1), halves(2);
  whole.go(), halves.go();
  const auto a = whole.final(), b = halves.final();
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::fabs(double(a[i]) - b[i]));
  EXPECT_LT(largest, 1e-4);  // Adam turns rounding of small gradients into parts of the rate
  EXPECT_NE(a, b);           // two orders of addition
}

TEST(Session, StoppedAnywhereItGoesOnBitForBit) {
  ToyRun straight;
  straight.go();
  for (int64_t stop_at : {1, 4, 7, 22}) {
    const TemporaryFolder folder;
    ToyRun first;
    EXPECT_FALSE(first.go(folder.path(), stop_at));
    ToyRun second;
    EXPECT_TRUE(second.go(folder.path()));
    EXPECT_THAT(second.notes, Contains(concat("resumed behind step ", stop_at)));
    EXPECT_EQ(second.final(), straight.final()) << "stopped at " << stop_at;
    EXPECT_EQ(second.losses.back(), straight.losses.back());
    ToyRun third;  // nothing is left to do
    EXPECT_TRUE(third.go(folder.path()));
    EXPECT_THAT(third.losses, IsEmpty());
    EXPECT_EQ(third.final(), straight.final());
  }
}

TEST(Session, KilledWhileItWritesItGoesOnFromTheOneBefore) {
  ToyRun straight;
  straight.go();
  const TemporaryFolder folder;
  ToyRun first;
  first.go(folder.path(), 10);
  const auto newest = list_checkpoints(folder.path()).front();
  std::filesystem::rename(newest, newest.string() + ".tmp.q1W2e3");  // written, not renamed yet
  ToyRun second;
  EXPECT_TRUE(second.go(folder.path()));
  EXPECT_THAT(second.notes, testing::ElementsAre("resumed behind step 8"));
  EXPECT_EQ(second.final(), straight.final());
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    EXPECT_EQ(entry.path().extension(), ".safetensors");
}

TEST(Session, ADamagedCheckpointIsReportedAndTheOneBeforeTaken) {
  ToyRun straight;
  straight.go();
  const TemporaryFolder folder;
  ToyRun first;
  first.go(folder.path(), 10);
  const auto newest = list_checkpoints(folder.path()).front();
  const std::string bytes = read_file(newest);
  write_file(newest, bytes.substr(0, bytes.size() - 5));
  ToyRun second;
  EXPECT_TRUE(second.go(folder.path()));
  EXPECT_THAT(second.notes, AllOf(Contains(HasSubstr(newest.string())), Contains("resumed behind step 8")));
  EXPECT_EQ(second.final(), straight.final());
}

TEST(Session, SkipsAreCountedNamedAndSurviveAResume) {
  const auto spoil = [](ToyRun& run) { run.task.bad_from = 3, run.task.bad_to = 6; };
  ToyRun straight, first, second;
  for (ToyRun* run : {&straight, &first, &second}) spoil(*run);
  straight.go();
  EXPECT_THAT(straight.notes, Contains("step 4 skipped: first.weight was not finite"));
  EXPECT_EQ(straight.notes.size(), 3u);
  EXPECT_EQ(straight.trainer->counters().updates, kSteps - 3);
  for (float v : straight.final()) ASSERT_TRUE(std::isfinite(v));
  const TemporaryFolder folder;
  first.go(folder.path(), 5);
  EXPECT_TRUE(second.go(folder.path()));
  EXPECT_EQ(second.trainer->counters(), straight.trainer->counters());
  EXPECT_EQ(second.final(), straight.final());
}

TEST(Session, ASkippedStepIsNoStepOfAdam) {
  ToyMlp toy;
  initialise(toy, 5);
  ToyTask task(toy, 1);
  task.bad_to = 1;
  Trainer trainer(task, {.steps = 2, .schedule = {.peak = 0.02, .steps = 100}, .adamw = {.weight_decay = 0}});
  const auto before = numbers(trainer.parameters().buffers().value);
  EXPECT_EQ(trainer.step().skipped, "first.weight");
  const double rate = trainer.step().learning_rate;
  const auto after = numbers(trainer.parameters().buffers().value);
  double largest = 0;
  for (size_t i = 0; i < after.size(); ++i)
    largest = std::max(largest, std::fabs(double(after[i]) - before[i]));
  EXPECT_NEAR(largest, rate, 1e-6);  // the first update moves by the rate: m / sqrt(v) is 1 after correction
}

TEST(Session, FindNanNamesThePlace) {
  ToyMlp toy;
  initialise(toy, 5);
  ToyTask task(toy, 1);
  task.bad_from = 1, task.bad_to = 2;
  Trainer trainer(task, {.steps = 3, .schedule = {.peak = 0.02, .steps = 3}, .find_nan = true});
  EXPECT_EQ(trainer.step().skipped, "");
  const std::string message = message_of<Error>([&] { trainer.step(); });
  EXPECT_THAT(message,
              AllOf(HasSubstr("kernel 'matmul' on cpu: nan at element 1 of its tensor 1, f32 [8, 5]"),
                    HasSubstr("in forward")));
  initialise(toy, 5);
  Trainer again(task, {.steps = 3, .schedule = {.peak = 0.02, .steps = 3}, .find_nan = true});
  toy.second.weight.value().data<float>()[0] = 3e38f;  // its square is too large, and nothing before
  EXPECT_THAT(message_of<Error>([&] { again.step(); }), HasSubstr("in forward"));
}

TEST(Session, AWorkingCopyFollowsTheValues) {
  ToyMlp toy;
  initialise(toy, 5);
  ToyTask task(toy, 1);
  Trainer trainer(task, {.steps = 3, .schedule = {.peak = 0.02, .steps = 3}, .working = DType::bf16});
  const FlatParameters& flat = trainer.parameters();
  const auto follows = [&] {
    const Tensor rounded = cast(flat.buffers().value, DType::bf16), shown = flat.buffers().working;
    return std::memcmp(rounded.raw(), shown.raw(), shown.bytes()) == 0;
  };
  const Parameter& weight = toy.first.weight;
  EXPECT_EQ(weight.value().dtype(), DType::bf16);
  EXPECT_EQ(weight.variable().grad_dtype(), DType::f32);
  EXPECT_TRUE(follows());
  const auto before = numbers(flat.buffers().value);
  EXPECT_EQ(trainer.step().skipped, "");
  EXPECT_NE(numbers(flat.buffers().value), before);
  EXPECT_TRUE(follows());
  EXPECT_TRUE(weight.value().shares_storage(flat.buffers().working));
  fill(flat.buffers().value, 0.3);
  EXPECT_FALSE(follows());
  trainer.restore(trainer.counters());
  EXPECT_TRUE(follows());
  flat.show_values();
  EXPECT_EQ(weight.value().dtype(), DType::f32);
  EXPECT_EQ(weight.value().data<float>()[0], 0.3f);
}

TEST(Session, LoggedLossesLeaveSkippedStepsOut) {
  const TemporaryFolder folder;
  ToyRun run;
  run.task.bad_from = 3, run.task.bad_to = 6;
  run.go({}, 0, folder.path());
  std::ifstream lines(folder / "log.jsonl");
  std::vector<Json> logged;
  for (std::string line; std::getline(lines, line);)
    if (Json json = parse_json(line, "line"); json.contains("loss")) logged.push_back(std::move(json));
  ASSERT_EQ(logged.size(), 5u);
  EXPECT_DOUBLE_EQ(logged[0]["loss"], (run.losses[0] + run.losses[1] + run.losses[2]) / 3);
  EXPECT_EQ(logged[0]["skipped_steps"], 2);
  EXPECT_EQ(logged[4]["skipped_steps"], 3);
}

TEST(Session, TooManySkipsInARowAreAnError) {
  const auto failure = [](int64_t bad_to) {
    ToyRun run(2, 3);
    run.task.bad_from = 2, run.task.bad_to = bad_to;
    return message_of<Error>([&] { run.go(); });
  };
  EXPECT_THAT(failure(5), HasSubstr("no exception"));
  EXPECT_THAT(failure(6),
              AllOf(HasSubstr("4 updates in a row"), HasSubstr("step 6"), HasSubstr("first.weight")));
}

TEST(Session, RefusesAFolderOfAnotherRun) {
  const TemporaryFolder folder;
  ToyRun first;
  first.go(folder.path(), 2);
  ToyRun fresh;
  fresh.resume = false;
  EXPECT_THAT(message_of<ConfigError>([&] { fresh.go(folder.path()); }), HasSubstr("resume it or choose"));
  ToyRun other;
  RunLog log;
  const SessionOptions changed{.checkpoints = folder.path(), .resume = true, .config_hash = "other"};
  EXPECT_THAT(message_of<ConfigError>([&] { run_session(*other.trainer, other.task, log, changed); }),
              HasSubstr("configuration other"));
}

TEST(Session, TheLogHasEveryLineOnceAfterAResume) {
  const TemporaryFolder folder;
  ToyRun first;
  first.go(folder / "c", 12, folder / "log");
  std::filesystem::remove(list_checkpoints(folder / "c").front());                // back to step 8
  std::ofstream(folder / "log" / "log.jsonl", std::ios::app) << R"({"step": 1)";  // cut short
  ToyRun second;
  second.go(folder / "c", 0, folder / "log");
  std::ifstream lines(folder / "log" / "log.jsonl");
  std::vector<int64_t> steps;
  for (std::string line; std::getline(lines, line);) {
    const Json json = parse_json(line, "line");
    if (!json.contains("loss")) continue;
    steps.push_back(json["step"]);
    EXPECT_TRUE(json["loss"].is_number() && json["lr"].is_number() && json["grad_norm"].is_number());
  }
  EXPECT_THAT(steps, testing::ElementsAre(5, 10, 15, 20, 23));
}

}  // namespace
}  // namespace dehvf
