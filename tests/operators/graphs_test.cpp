// Training with recorded micro-batches on the emulated device: the bits of training without.
#include <gtest/gtest.h>

#include "core/kernel.h"
#include "core/random.h"
#include "operators/tiny.h"
#include "train/adapter_task.h"

namespace dehvf {
namespace {

constexpr Device kEmulator{DeviceKind::emulator, 0};
constexpr int64_t kSteps = 6;

// Nine examples of several lengths, one of them without a picture.
std::vector<Example> examples() {
  Random random(7);
  std::vector<Example> made;
  for (int64_t i = 0; i < 9; ++i) {
    Example example{.image = i == 2 ? -1 : int32_t(i % 4), .id = i};
    for (int64_t t = 0; t < 5 + 2 * (i % 4); ++t) {
      example.tokens.push_back(int32_t(random.below(tiny::llama().vocab)));
      example.labels.push_back(t < 3 ? kIgnored : example.tokens.back());
    }
    made.push_back(example);
  }
  return made;
}

// A short training; what the tower sees is computed in every step, or kept.
struct Training {
  Training(const std::string& fusion, bool cached, Device device, bool graphs)
      : model(tiny::make(first_case(fusion), DType::f32, 0.2)), given(examples()) {
    if (device != kCpu) model.move_to(device);
    const Tensor pixels = random_normal({4, 3, tiny::tower().image, tiny::tower().image}, 1, 9);
    pictures.emplace(model, pixels, cached);
    task.emplace(model, model, given, &*pictures,
                 AdapterTask::Options{.batch = 3, .micro_batch = 3, .seed = 4, .by_length = false});
    trainer.emplace(
        *task,
        TrainerOptions{
            .steps = kSteps, .schedule = {.peak = 1e-2, .steps = kSteps}, .clip = 1, .graphs = graphs});
    const Trace trace;
    trainer->run([&](const StepReport& report) {
      losses.push_back(report.loss);
      return true;
    });
    for (const auto& [kernel, line] : trace.lines) kernels += line.calls;
  }
  static tiny::Case first_case(const std::string& fusion) {
    for (const tiny::Case& c : tiny::all_cases())
      if (c.fusion == fusion) return c;
    return {fusion, {}};
  }
  FusedModel model;
  std::vector<Example> given;
  std::optional<PictureSource> pictures;
  std::optional<AdapterTask> task;
  std::optional<Trainer> trainer;
  std::vector<double> losses;
  int64_t kernels = 0;  // asked for by the host
};

class Graphs : public testing::TestWithParam<std::pair<std::string, bool>> {};

TEST_P(Graphs, ReplayTheBitsOfEveryStep) {
  const auto& [fusion, cached] = GetParam();
  const Training with(fusion, cached, kEmulator, true), without(fusion, cached, kEmulator, false);
  EXPECT_EQ(with.losses, without.losses);
  const Tensor a = with.trainer->parameters().buffers().value.to(kCpu),
               b = without.trainer->parameters().buffers().value.to(kCpu);
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0);
  EXPECT_LT(with.kernels, without.kernels);  // some micro-batch was replayed
  // What fills a micro-batch up has no part in it: the CPU goes without.
  const Training plain(fusion, cached, kCpu, true);
  for (size_t i = 0; i < plain.losses.size(); ++i) EXPECT_NEAR(with.losses[i], plain.losses[i], 1e-4) << i;
}

// Its copies follow the lengths of the texts.
TEST(NoGraphs, AreNotMadeOfNaiveConcat) {
  const Training with("naive_concat", true, kEmulator, true), without("naive_concat", true, kEmulator, false);
  EXPECT_EQ(with.losses, without.losses);
  EXPECT_EQ(with.kernels, without.kernels);
  const Training plain("naive_concat", true, kCpu, true);
  for (size_t i = 0; i < plain.losses.size(); ++i) EXPECT_NEAR(with.losses[i], plain.losses[i], 1e-4) << i;
}

INSTANTIATE_TEST_SUITE_P(
    Operators, Graphs,
    testing::Values(std::pair{"llama_adapter", true}, std::pair{"lavin", false}, std::pair{"adem_vl", false},
                    std::pair{"dehvf", false}, std::pair{"dehvf", true}, std::pair{"memvp", true},
                    std::pair{"llava", false}, std::pair{"qformer", true}, std::pair{"my_idea", true}),
    [](const auto& info) { return concat(info.param.first, info.param.second ? "Cached" : "Seen"); });

}  // namespace
}  // namespace dehvf
