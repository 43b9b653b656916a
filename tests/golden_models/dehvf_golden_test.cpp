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

// With the same values for each group it is the shared fuser, and their gradients add up to its.
TEST_P(DehvfGolden, AFuserForEachGroup) {
  auto options = dehvf_options(GetParam());
  options["fuser"] = "per_group";
  FusedFixture f("dehvf/dehvf", "dehvf", options, DType::f64, {.rank = 3, .scale = 0.1, .dropout = 0}, 2);
  check_states(f, 1e-11);
  const Vision vision = f.model.see(f.model.look(f.pixels));
  const Variable embeddings(cast(f.expected.at("embeddings"), DType::f64));
  const TextPlan plan = f.model.plan(f.batch, f.labelled.rows);
  const Variable losses =
      f.model.llama().losses(f.model.llama().forward(plan, embeddings, vision, {}), f.labelled.targets);
  backward(scale(sum_all(losses), 1.0 / double(f.labelled.targets.count())));
  std::map<std::string, Variable> found;
  for (const auto& [path, parameter] : trainable_of(f.model)) found.emplace(path, parameter->variable());
  int checked = 0;
  for (const auto& [path, first] : found) {
    if (!path.starts_with("fuser.0.")) continue;
    const Tensor second = found.at("fuser.1" + path.substr(7)).grad();
    const bool zero = path.ends_with(".k.bias");  // by theory
    if (!zero) EXPECT_GT(relative_error(first.grad(), second, 1e-6), 1e-3) << path << ": each has its own";
    const Tensor sum = add(Variable(first.grad()), Variable(second)).value();
    EXPECT_LT(relative_error(sum, f.expected.at("grad.fuser" + path.substr(7)), zero ? 1e-3 : 1e-6), 1e-9)
        << path;
    ++checked;
  }
  EXPECT_GT(checked, 30);
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
