// The whole of DEHVF and MemVP, forward and backward, against plain PyTorch in f64
// (tests/golden/make_dehvf.py).
#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "golden_models/fixture.h"
#include "models/fused_model.h"

namespace dehvf {
namespace {

LlamaConfig llama_config() {
  std::vector<std::string> notes;
  return read_llama_config(golden("dehvf/llama"), notes);
}

std::vector<std::vector<int32_t>> cut(const std::vector<int32_t>& flat, const std::vector<int64_t>& lengths) {
  std::vector<std::vector<int32_t>> parts;
  auto at = flat.begin();
  for (int64_t length : lengths) parts.emplace_back(at, at + length), at += length;
  return parts;
}

struct Fixture {
  Fixture(const std::string& fusion, std::map<std::string, std::string> config, DType dtype)
      : expected(load_safetensors(golden("dehvf/" + fusion + "_expected.safetensors"))),
        model(llama_config(), read_clip_config(golden("dehvf/tower")),
              {.fusion = fusion,
               .config = FusionConfig(std::move(config)),
               .tower_adapters = true,
               .adapters = {.rank = 3, .scale = 0.1, .dropout = 0}}) {
    load_from(model.llama(), load_safetensors(golden("dehvf/llama/model.safetensors")), dtype, false);
    load_from(model.tower(), load_safetensors(golden("dehvf/tower/model.safetensors")), dtype, false);
    load_from(model, load_safetensors(golden("dehvf/" + fusion + ".safetensors")), dtype, true);
    const auto lengths = integers<int64_t>(expected.at("lengths"));
    std::vector<int32_t> image_of;
    for (int64_t present : integers<int64_t>(expected.at("present")))
      image_of.push_back(present ? int32_t(image_of.size()) : -1);
    batch = pack(cut(integers<int32_t>(expected.at("token_ids")), lengths), image_of);
    labelled = supervised(batch, cut(integers<int32_t>(expected.at("labels")), lengths));
    pixels = cast(expected.at("pixels"), dtype);
  }

  Tensors expected;
  FusedModel model;
  TextBatch batch;
  Supervised labelled;
  Tensor pixels;
};

const std::map<std::string, std::string> kMemory{
    {"slots", "20"}, {"rank", "16"}, {"lambda", "0.05"}, {"scale", "0.1"}, {"dropout", "0"}};

std::map<std::string, std::string> dehvf_options(const std::string& rows) {
  auto options = kMemory;
  options.insert({{"groups", "2"},
                  {"positions", "2"},
                  {"embedding", "8"},
                  {"hidden", "12"},
                  {"width", "8"},
                  {"heads", "2"},
                  {"blocks", "2"},
                  {"rows", rows}});
  return options;
}

std::map<std::string, std::string> memvp_options(const std::string& rows) {
  auto options = kMemory;
  options.insert({{"level", "3"}, {"rows", rows}});
  return options;
}

void check_states(Fixture& f, double bound) {
  const TowerLevels levels = f.model.look(f.pixels);
  for (const auto& [level, value] : levels.after_block)
    if (const auto found = f.expected.find(concat("levels.", level)); found != f.expected.end())
      EXPECT_LT(relative_error(value.value(), found->second), bound) << "level " << level;
  const Vision vision = f.model.see(levels);
  if (f.expected.contains("fuser_weights"))
    EXPECT_LT(relative_error(vision.state.fuser_weights.value(), f.expected.at("fuser_weights")), bound);
  std::vector<Variable> hidden;
  const Variable embeddings = f.model.llama().embed(f.batch.tokens);
  EXPECT_LT(relative_error(embeddings.value(), f.expected.at("embeddings")), bound);
  const Variable last = f.model.llama().forward(f.batch, embeddings, vision, {.hidden = &hidden});
  for (size_t l = 0; l < hidden.size(); ++l)
    EXPECT_LT(relative_error(hidden[l].value(), f.expected.at(concat("hidden.", l))), bound) << "block " << l;
  EXPECT_LT(relative_error(f.model.llama().logits(last).value(), f.expected.at("logits")), bound);
}

void check_gradients(Fixture& f, SegmentMode mode, double bound, DType dtype) {
  const Variable embeddings = Variable::parameter(cast(f.expected.at("embeddings"), dtype), "embeddings");
  const Vision vision = f.model.see(f.model.look(f.pixels));
  const TextPlan plan = f.model.plan(f.batch, f.labelled.rows);
  const Variable hidden = f.model.llama().forward(plan, embeddings, vision, {.mode = mode});
  const Variable losses = f.model.llama().losses(hidden, f.labelled.targets);
  const Variable loss = scale(sum_all(losses), 1.0 / double(f.labelled.targets.count()));
  EXPECT_NEAR(item(loss.value()), item(f.expected.at("loss")), bound);
  backward(loss);
  EXPECT_LT(relative_error(embeddings.grad(), f.expected.at("grad.embeddings"), 1e-6), bound);
  int checked = 0;
  for (const auto& [path, parameter] : trainable_of(f.model)) {
    const Tensor want = f.expected.at("grad." + path), got = parameter->variable().grad();
    if (!got.defined()) {  // never reached: zero by theory
      for (double v : cast(want, DType::f64).span<double>()) EXPECT_EQ(v, 0) << path;
      continue;
    }
    ++checked;
    EXPECT_LT(relative_error(got, want, path.ends_with("attention.k.bias") ? 1e-3 : 1e-6), bound) << path;
  }
  EXPECT_GT(checked, 10);
}

class DehvfGolden : public testing::TestWithParam<std::string> {};  // both forms of the rows
INSTANTIATE_TEST_SUITE_P(Rows, DehvfGolden, testing::Values("factored", "materialised"));

TEST_P(DehvfGolden, DehvfStatesInDouble) {
  Fixture f("dehvf", dehvf_options(GetParam()), DType::f64);
  check_states(f, 1e-11);
}

TEST_P(DehvfGolden, DehvfGradientsInDouble) {
  for (SegmentMode mode : {SegmentMode::keep, SegmentMode::recompute}) {
    Fixture f("dehvf", dehvf_options(GetParam()), DType::f64);
    check_gradients(f, mode, 1e-9, DType::f64);
  }
}

TEST_P(DehvfGolden, DehvfInFloat) {
  Fixture f("dehvf", dehvf_options(GetParam()), DType::f32);
  check_states(f, 2e-5);
  check_gradients(f, SegmentMode::keep, 2e-4, DType::f32);
}

TEST_P(DehvfGolden, MemVpStatesInDouble) {
  Fixture f("memvp", memvp_options(GetParam()), DType::f64);
  check_states(f, 1e-11);
}

TEST_P(DehvfGolden, MemVpGradientsInDouble) {
  for (SegmentMode mode : {SegmentMode::keep, SegmentMode::recompute}) {
    Fixture f("memvp", memvp_options(GetParam()), DType::f64);
    check_gradients(f, mode, 1e-9, DType::f64);
  }
}

}  // namespace
}  // namespace dehvf
