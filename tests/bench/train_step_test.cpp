// The bench of a whole step at its smallest, and what it refuses.
#include "bench/train_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/random_model.h"
#include "bench/range_clock.h"
#include "core/ops/elementwise.h"
#include "core/phase.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Json& row_of(const Json& result, const std::string& slot) {
  for (const Json& row : result["step"])
    if (row["slot"] == slot) return row;
  fail<Error>("no row ", slot);
}

class TrainStepBench : public testing::TestWithParam<DeviceKind> {};
INSTANTIATE_TEST_SUITE_P(Places, TrainStepBench, testing::Values(DeviceKind::cpu, DeviceKind::emulator),
                         [](const auto& info) { return concat(info.param); });

TEST_P(TrainStepBench, TimesATinyStepAndItsParts) {
  const TemporaryFolder folder;
  const Device device{GetParam(), 0};
  const Json result =
      bench_train_step({.device = device, .shape = "tiny", .out = folder / "step.json"}, [](const auto&) {});
  EXPECT_EQ(read_json(folder / "step.json"), result);
  EXPECT_EQ(result["shape"], "tiny 2x32 labelled 8 bf16");
  EXPECT_NEAR(result["loss"], std::log(160), 1) << "a guess among the vocabulary";
  double floor = 0;
  for (const char* pass : {"forward", "backward"}) {
    double of_pass = 0;
    for (const char* part : {"linears", "attention", "visual rows", "lm head", "vision", "operator"}) {
      const Json& row = row_of(result, concat("step ", pass, ' ', part));
      EXPECT_GT(row["us"], 0) << row;
      of_pass += row["floor_us"].get<double>();
      EXPECT_DOUBLE_EQ(row["of_floor"], row["floor_us"].get<double>() / row["us"].get<double>());
    }
    EXPECT_NEAR(row_of(result, concat("step ", pass))["floor_us"], of_pass, 1e-9 * of_pass);
    floor += of_pass;
  }
  for (const char* part : {"step forward elementwise", "step backward elementwise", "step optimizer"})
    EXPECT_FALSE(row_of(result, part).contains("floor_us")) << part;
  EXPECT_NEAR(row_of(result, "step")["floor_us"], floor, 1e-9 * floor);
  EXPECT_GT(result["peak_bytes"], 0);
}

TEST(TrainStepBench, RefusesInOneLine) {
  const auto refused = [](const TrainStepOptions& options) {
    return message_of<Error>([&] { bench_train_step(options, [](const auto&) {}); });
  };
  EXPECT_EQ(refused({.device = kCpu, .shape = "70b"}), "shape: wanted 7b, 13b or tiny, found '70b'");
  EXPECT_THAT(refused({.device = kCpu, .shape = "tiny", .length = 8}), HasSubstr("more than 8"));
  EXPECT_THAT(
      refused({.device = kCpu, .shape = "13b", .samples = 4000}),
      testing::MatchesRegex("step: 13b, 4000 x 512 tokens, needs about [0-9.e+]+ GB, cpu has [0-9.e+]+ "
                            "GB free"));
}

TEST(PartOf, PutsAKernelWhereTheFloorCountsIt) {
  EXPECT_EQ(part_of("forward > llama_block 3 > product"), "linears");
  EXPECT_EQ(part_of("backward > llama_block 3 > linear > matmul"), "linears");
  EXPECT_EQ(part_of("backward > llama_block 0 > visual_rows > visual_rows_backward"), "visual rows");
  EXPECT_EQ(part_of("forward > llama_block 3 > attention"), "attention");
  EXPECT_EQ(part_of("backward > llama_block 3 > linear > add"), "elementwise");
  EXPECT_EQ(part_of("forward > vit_block 3 > attention"), "vision");
  EXPECT_EQ(part_of("forward > attention"), "operator") << "the fuser's";
  EXPECT_EQ(part_of("backward > cross_entropy"), "lm head");
}

TEST(RangeClock, CountsOutermostKernelsByTheirPlace) {
  const Tensor x = zeros({64, 64});
  std::map<std::string, double> seconds;
  {
    const RangeClock clock(kCpu);
    const Phase phase("forward");
    activate(x, Activation::silu);
    {
      const Phase inner("block");
      activate(x, Activation::silu);
      add(x, x);
    }
    seconds = clock.seconds();
  }
  activate(x, Activation::silu);
  std::vector<std::string> places;
  for (const auto& [place, time] : seconds) {
    places.push_back(place);
    EXPECT_GT(time, 0) << place;
  }
  EXPECT_THAT(places,
              ElementsAre("forward > activate", "forward > block > activate", "forward > block > add"));
}

TEST(RandomModel, IsNoiseOfTheRightSizeWithoutEqualRows) {
  LlamaConfig config = step_shape("tiny").llama;
  config.vocab = 20000;  // more numbers than are drawn
  Llama model(config);
  fill_frozen(model, DType::bf16, {DeviceKind::emulator, 0});
  for (const auto& [path, parameter] : parameters_of(model)) {
    EXPECT_FALSE(parameter->trainable());
    const Tensor value = cast(parameter->value().to(kCpu), DType::f64);
    double squares = 0;
    for (double v : value.span<double>()) squares += v * v;
    const double size = std::sqrt(squares / double(value.count()));
    EXPECT_NEAR(size, path.find("norm") == std::string::npos ? 0.02 : 1, 0.002) << path;
    if (value.shape().rank() != 2) continue;
    for (int64_t row = 1; row < value.size(0); ++row)
      ASSERT_NE(std::memcmp(value[0].raw(), value[row].raw(), value[0].bytes()), 0) << path << ' ' << row;
  }
}

}  // namespace
}  // namespace dehvf
