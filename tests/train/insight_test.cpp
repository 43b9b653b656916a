// What is said of an operator while it is trained: entropies, ratios, and the warning of a collapse.
#include "train/insight.h"

#include <cmath>

#include <gmock/gmock.h>

#include "core/io/file.h"
#include "core/random.h"
#include "toy_run.h"

namespace dehvf {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

struct Watched {
  Watched(const ToyFiles& files, const std::vector<std::string>& changes)
      : run(files.run(changes)), data(run.load("train", Use::training)) {
    initialise(run.model(), 11);
  }
  Findings look(int64_t step = 1) {
    return InsightWatch(run.model(), data.pictures.get(), data.examples).look(step);
  }
  // All weight on the first level of every group, as far as `logit` goes.
  void collapse(float logit) {
    for (const auto& [path, parameter] : parameters_of(run.model())) {
      if (path == "fuser.weights.weight")
        for (float& value : parameter->value().span<float>()) value = 0;
      if (path == "fuser.weights.bias") {
        for (float& value : parameter->value().span<float>()) value = 0;
        parameter->value().data<float>()[0] = logit;
      }
    }
  }

  Run run;
  SplitData data;
};

struct InsightTest : testing::Test {
  const ToyFiles files;
};

TEST_F(InsightTest, EveryLayerHasItsEntropyAndRatio) {
  Watched watched(files, {});
  const Scalars scalars = watched.look().scalars;
  EXPECT_THAT(scalars, SizeIs(16));  // 8 layers
  for (int l = 0; l < 8; ++l) {
    const double entropy = scalars.at(concat("fuser_entropy/layer_0", l));
    EXPECT_GT(entropy, 0);
    EXPECT_LE(entropy, std::log(2) + 1e-6);
    EXPECT_GT(scalars.at(concat("row_ratio/layer_0", l)), 0);
  }
}

TEST_F(InsightTest, EvenWeightsHaveTheLogarithmOfTheirNumber) {
  for (const auto& [groups, levels] : {std::pair(1, 8), {2, 4}, {4, 2}, {8, 1}}) {
    Watched watched(files, {concat("fusion.groups=", groups)});
    watched.collapse(0);
    const Findings found = watched.look();
    for (int l = 0; l < 8; ++l)
      EXPECT_NEAR(found.scalars.at(concat("fuser_entropy/layer_0", l)), std::log(levels), 1e-5);
    EXPECT_THAT(found.notes, IsEmpty()) << groups << " groups";
  }
}

TEST_F(InsightTest, TheRatioFollowsTheScaleOfTheRows) {
  Watched one(files, {"fusion.scale=0.1"}), two(files, {"fusion.scale=0.2"});
  EXPECT_NEAR(two.look().scalars.at("row_ratio/layer_00") / one.look().scalars.at("row_ratio/layer_00"), 2,
              1e-4);
}

TEST_F(InsightTest, WithoutFuserOrRowsNothingIsSaidOfThem) {
  auto blind = files.blind();
  const SplitData text = blind.load("train", Use::training);
  const Findings none = InsightWatch(blind.model(), text.pictures.get(), text.examples).look(1);
  EXPECT_THAT(none.scalars, IsEmpty());
  EXPECT_THAT(none.notes, IsEmpty());
}

TEST_F(InsightTest, ACollapseIsSaidOnce) {
  Watched watched(files, {"fusion.groups=2"});
  InsightWatch watch(watched.run.model(), watched.data.pictures.get(), watched.data.examples);
  EXPECT_THAT(watch.look(10).notes, IsEmpty());  // a fuser as it begins
  watched.collapse(3);                           // much on one level, but not all
  EXPECT_THAT(watch.look(20).notes, IsEmpty());
  watched.collapse(12);
  const auto notes = watch.look(30).notes;
  ASSERT_THAT(notes, SizeIs(1));
  EXPECT_THAT(notes[0], StartsWith("warning: the fuser's weights have collapsed"));
  EXPECT_THAT(notes[0], HasSubstr("one of 4 levels (step 30)"));
  EXPECT_THAT(watch.look(40).notes, IsEmpty());
}

TEST_F(InsightTest, OneLevelToChooseFromIsNoCollapse) {
  Watched watched(files, {"fusion.groups=8"});
  watched.collapse(50);
  EXPECT_THAT(watched.look().notes, IsEmpty());
}

TEST_F(InsightTest, OneHealthyLayerIsNoCollapse) {
  const double limit = kCollapsedEntropy * std::log(4);
  Insight insight{.fuser_weights = Tensor({1, 3, 2, 4}, DType::f32),
                  .fuser_entropy = {0, 0.99 * limit, 0.5 * limit},
                  .row_ratio = {},
                  .slot_use = {}};
  EXPECT_TRUE(fuser_collapsed(insight));
  insight.fuser_entropy[1] = 1.01 * limit;
  EXPECT_FALSE(fuser_collapsed(insight));
  EXPECT_FALSE(fuser_collapsed({}));
}

TEST_F(InsightTest, TheLimitIsNearlyAllWeightOnOneLevel) {  // as the constant's comment says
  const double top = 0.96;
  const double least = -top * std::log(top) - (1 - top) * std::log(1 - top);  // the rest on one other level
  for (int levels = 2; levels <= 24; ++levels) EXPECT_GT(least, kCollapsedEntropy * std::log(levels));
}

TEST_F(InsightTest, ASessionLogsItNowAndThen) {
  Watched watched(files, {});
  watched.collapse(50);
  AdapterTask task(watched.run.model(), watched.run.model(), watched.data.examples,
                   watched.data.pictures.get(), watched.run.config().batches);
  Trainer trainer(task, {.steps = 12, .schedule = {.peak = 1e-6, .steps = 12}});
  InsightWatch watch(watched.run.model(), watched.data.pictures.get(), watched.data.examples);
  RunLog log(files / "log");
  std::vector<std::string> notes;
  run_session(trainer, task, log, {.log_every = 1},
              {.note = [&](const std::string& text) { notes.push_back(text); },
               .look = [&](int64_t step) { return watch.look(step); }});
  std::vector<int64_t> looked, warned;
  std::istringstream lines(read_file(files / "log" / "log.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json json = parse_json(line, "line");
    if (json.contains("note")) warned.push_back(json["step"]);
    if (json.contains("row_ratio/layer_07") && json.contains("fuser_entropy/layer_00"))
      looked.push_back(json["step"]);
  }
  EXPECT_THAT(looked, testing::ElementsAre(1, 11));
  EXPECT_THAT(warned, testing::ElementsAre(1));
  EXPECT_THAT(notes, testing::ElementsAre(HasSubstr("collapsed")));
  std::string events;
  for (const auto& entry : std::filesystem::directory_iterator(files / "log"))
    if (entry.path().filename().string().starts_with("events.")) events = read_file(entry.path());
  for (const char* tag :
       {"loss", "lr", "grad_norm", "tokens_per_second", "fuser_entropy/layer_00", "row_ratio/layer_07"})
    EXPECT_THAT(events, HasSubstr(tag));
}

}  // namespace
}  // namespace dehvf
