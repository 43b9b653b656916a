// Every configs/papers/*.yaml is read, makes a model of the published shape without allocating, and trains as
// many parameters as its head says were published, where it says so.
#include <cmath>
#include <regex>

#include <gmock/gmock.h>

#include "core/io/file.h"
#include "models/fused_model.h"
#include "models/published_shapes.h"
#include "support/message.h"
#include "train/planned_model.h"
#include "train/run_config.h"

namespace dehvf {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const fs::path kPapers = fs::path(DEHVF_SOURCE_DIR) / "configs" / "papers";

std::vector<std::string> presets() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kPapers)) names.push_back(entry.path().stem().string());
  std::ranges::sort(names);
  return names;
}

bool there(const RunConfig& config) {
  const auto names = Registry<Fusion>::instance().keys();
  return std::ranges::find(names, config.fusion) != names.end();
}

FusedModel make(const RunConfig& config) {
  const std::string tower = config.tower.empty() ? "clip-vit-large-patch14" : config.tower.string();
  return {published_llama(config.model.string()),
          published_tower(tower),
          {.fusion = config.fusion,
           .config = FusionConfig(config.fusion_options),
           .tower_adapters = config.tower_adapters,
           .adapters = config.adapters,
           .tuning = config.tuning}};
}

struct Published {
  double low, high;
};

// "# published: 3.9M", "4M to 6M", "7B": what rounds to it, or lies between; "none" is everything.
Published published_in(const std::string& head) {
  std::smatch found;
  const std::regex line(R"(\n# published: (?:none|([\d.]+)([MB])(?: to ([\d.]+)[MB])?)\b)");
  if (!std::regex_search(head, found, line)) return {NAN, NAN};
  if (!found[1].matched) return {0, INFINITY};
  const double unit = found[2] == "M" ? 1e6 : 1e9, value = std::stod(found[1]);
  if (found[3].matched) return {unit * value, unit * std::stod(found[3])};
  const std::string digits = found[1];
  const size_t point = digits.find('.');
  const double half = 0.5 * std::pow(0.1, point == std::string::npos ? 0 : digits.size() - point - 1);
  return {unit * (value - half), unit * (value + half)};
}

class Papers : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Presets, Papers, testing::ValuesIn(presets()));

TEST_P(Papers, TrainsAsManyParametersAsWerePublished) {
  const fs::path path = kPapers / (GetParam() + ".yaml");
  const RunConfig config = read_run_config(path, {});
  const std::string head = read_file(path, 1 << 20);
  EXPECT_EQ(config.out.filename().string(), GetParam());
  if (!there(config)) GTEST_SKIP() << "no operator " << config.fusion;
  FusedModel model = make(config);
  const auto [low, high] = published_in(head);
  if (std::isnan(low)) EXPECT_THAT(head, Not(HasSubstr("# published")));
  if (std::isnan(low)) return;
  const auto count = double(model.cost().published);
  EXPECT_TRUE(low <= count && count <= high) << count << ", published " << low << " to " << high;
}

TEST(PaperHeads, PublishedNumbersAreReadAsRounded) {
  EXPECT_EQ(published_in("x\n# published: 3.9M trained").low, 3.85e6);
  EXPECT_EQ(published_in("x\n# published: 4M to 6M").high, 6e6);
  EXPECT_EQ(published_in("x\n# published: 7B").low, 6.5e9);
  EXPECT_TRUE(std::isnan(published_in("x\n# published: many").low));
}

TEST(ParameterCounts, OfLoraAtPublishedShapes) {
  // LLaVA-LoRA (4.4M) is a projector of rank 128, adapters in the tower, and this.
  EXPECT_EQ(FusedModel(llama_7b(), clip_l14(), {.tuning = {.lora = {.rank = 6}}}).cost().live, 3'145'728);
  EXPECT_EQ(659'584 + 589'824 + 3'145'728, 4'395'136);
  const LlamaTuning four{.lora = {.rank = 3, .targets = "q,k,v,o"}};
  EXPECT_EQ(FusedModel(llama_7b(), clip_l14(), {.tuning = four}).cost().live, 3'145'728);
  const LlamaTuning all{.lora = {.rank = 16, .targets = "q,k,v,o,gate,up,down"}};
  EXPECT_EQ(FusedModel(llama_7b(), clip_l14(), {.tuning = all}).cost().live, 39'976'960);
  EXPECT_EQ(FusedModel(llama_7b(), clip_l14(), {.tuning = {.tune = "norms"}}).cost().live, 65 * 4096);
  EXPECT_EQ(FusedModel(llama_7b(), clip_l14(), {.tuning = {.tune = "norms,biases,scales"}}).cost().live,
            65 * 4096 + 2 * 32 * (5 * 4096 + 2 * 11008));
  EXPECT_EQ(FusedModel(llama_7b(), clip_l14(), {.tuning = {.tune = "full"}}).cost().live, 6'738'415'616);
}

TEST(Memory, FullTuningLacksWithNumbers) {
  PlannedModel full(llama_7b(), clip_l14(), {.tuning = {.tune = "full"}}, DType::bf16);
  const PlannedWork work = full.train_step(StepSize{.samples = 1, .length = 16, .supervised = 1});
  // Value, gradient and two moments in f32, which of them decay, and a copy in bf16.
  EXPECT_GT(double(work.bytes()), 6'738'415'616.0 * 19);
  EXPECT_LT(double(work.bytes()), 6'738'415'616.0 * 19.2);
  EXPECT_THAT(
      shortage(work, kCpu, int64_t(80) << 30),
      AllOf(testing::StartsWith("129."), HasSubstr("GB are held (weights "), HasSubstr("parameters 128."),
            HasSubstr("cpu has 85.9 GB: 43."), HasSubstr("train.segment=recompute")));
  EXPECT_EQ(shortage(work, kCpu, int64_t(work.bytes())), "");
  EXPECT_THAT(shortage(work, kCpu, int64_t(work.bytes()) - 1), HasSubstr(": 0.0 MB too little"));
  EXPECT_GT(memory_of(kCpu), int64_t(1) << 28);
}

}  // namespace
}  // namespace dehvf
