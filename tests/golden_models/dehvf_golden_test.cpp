// The whole of DEHVF and MemVP, forward and backward, against plain PyTorch in f64
// (tests/golden/make_dehvf.py).
#include "golden_models/fused_fixture.h"

namespace dehvf {
namespace {

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

void check_states(FusedFixture& f, double bound) {
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

class DehvfGolden : public testing::TestWithParam<std::string> {};  // both forms of the rows
INSTANTIATE_TEST_SUITE_P(Rows, DehvfGolden, testing::Values("factored", "materialised"));

TEST_P(DehvfGolden, DehvfStatesInDouble) {
  FusedFixture f("dehvf/dehvf", "dehvf", dehvf_options(GetParam()), DType::f64);
  check_states(f, 1e-11);
}

TEST_P(DehvfGolden, DehvfGradientsInDouble) {
  for (SegmentMode mode : {SegmentMode::keep, SegmentMode::recompute}) {
    FusedFixture f("dehvf/dehvf", "dehvf", dehvf_options(GetParam()), DType::f64);
    check_gradients(f, mode, 1e-9, DType::f64);
  }
}

TEST_P(DehvfGolden, DehvfInFloat) {
  FusedFixture f("dehvf/dehvf", "dehvf", dehvf_options(GetParam()), DType::f32);
  check_states(f, 2e-5);
  check_gradients(f, SegmentMode::keep, 2e-4, DType::f32);
}

TEST_P(DehvfGolden, MemVpStatesInDouble) {
  FusedFixture f("dehvf/memvp", "memvp", memvp_options(GetParam()), DType::f64);
  check_states(f, 1e-11);
}

TEST_P(DehvfGolden, MemVpGradientsInDouble) {
  for (SegmentMode mode : {SegmentMode::keep, SegmentMode::recompute}) {
    FusedFixture f("dehvf/memvp", "memvp", memvp_options(GetParam()), DType::f64);
    check_gradients(f, mode, 1e-9, DType::f64);
  }
}

}  // namespace
}  // namespace dehvf
