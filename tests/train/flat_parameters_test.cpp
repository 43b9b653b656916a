#include "train/flat_parameters.h"

#include <gmock/gmock.h>

#include "core/random.h"
#include "support/message.h"
#include "toy_mlp.h"
#include "train/schedule.h"

namespace dehvf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> paths(const FlatParameters& flat) {
  std::vector<std::string> paths;
  for (const auto& range : flat.ranges()) paths.push_back(range.path);
  return paths;
}

TEST(FlatParameters, KeepsValuesAndKnowsWhatDecays) {
  ToyMlp toy;
  initialise(toy, 3);
  toy.first.bias.set_trainable(full({13}, 7), "first.bias");
  const auto before = numbers(toy.second.weight.value());
  const FlatParameters flat(toy);
  EXPECT_THAT(paths(flat), ElementsAre("first.weight", "first.bias", "second.weight", "second.bias"));
  EXPECT_EQ(flat.count(), 5 * 13 + 13 + 13 * 3 + 3);
  EXPECT_EQ(numbers(toy.second.weight.value()), before);
  EXPECT_EQ(numbers(flat.view(flat.buffers().value, flat.ranges()[2])), before);
  EXPECT_TRUE(toy.first.bias.value().shares_storage(flat.buffers().value));
  const auto decay = flat.buffers().decay.span<uint8_t>();
  for (int64_t i = 0; i < flat.count(); ++i)
    EXPECT_EQ(decay[size_t(i)], flat.path_at(i).ends_with("weight")) << i;
  EXPECT_EQ(flat.path_at(64), "first.weight");
  EXPECT_EQ(flat.path_at(65), "first.bias");
  EXPECT_EQ(flat.path_at(flat.count() - 1), "second.bias");
}

TEST(FlatParameters, GradientsArriveInTheBuffer) {
  ToyMlp toy;
  initialise(toy, 3);
  const FlatParameters flat(toy);
  const Tensor x = random_normal({4, 5}, 1, 9);
  for (int i = 0; i < 2; ++i) backward(toy(x));
  EXPECT_THAT(numbers(flat.view(flat.buffers().gradient, flat.ranges()[3])), ElementsAre(8, 8, 8));
  flat.zero_gradients();
  EXPECT_THAT(numbers(flat.buffers().gradient), testing::Each(0));
  backward(toy(x));
  EXPECT_THAT(numbers(toy.second.bias.variable().grad()), ElementsAre(4, 4, 4));
}

TEST(FlatParameters, TakesOnlyWhatIsTrained) {
  ToyMlp toy;
  initialise(toy, 3);
  freeze(toy.first);
  EXPECT_THAT(paths(FlatParameters(toy)), ElementsAre("second.weight", "second.bias"));
  freeze(toy);
  EXPECT_THAT(message_of<Error>([&] { FlatParameters flat(toy); }), HasSubstr("nothing is trainable"));
}

struct Twice : Module {
  Linear linear{2, 2};
  void describe(Describer& describer) override {
    describer.child("a", linear);
    describer.child("b", linear);
  }
};

TEST(FlatParameters, RefusesOneParameterUnderTwoPaths) {
  Twice twice;
  initialise(twice, 1);
  EXPECT_THAT(message_of<Error>([&] { FlatParameters flat(twice); }),
              HasSubstr("b.weight is described twice"));
}

TEST(Schedule, WarmsUpAndFallsAlongACosine) {
  const Schedule schedule{.peak = 2, .warmup = 4, .steps = 12};
  EXPECT_DOUBLE_EQ(schedule.rate(0), 0.5);
  EXPECT_DOUBLE_EQ(schedule.rate(3), 2);
  EXPECT_DOUBLE_EQ(schedule.rate(4), 2);
  EXPECT_DOUBLE_EQ(schedule.rate(8), 1);
  EXPECT_DOUBLE_EQ(schedule.rate(10), 1 - std::sqrt(0.5));
  EXPECT_DOUBLE_EQ(schedule.rate(99), 0);
  EXPECT_DOUBLE_EQ((Schedule{.peak = 3, .steps = 5}.rate(0)), 3);
}

}  // namespace
}  // namespace dehvf
