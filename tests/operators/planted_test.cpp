// An operator with one wrong hook fails the check that is there for it.
#include <gtest/gtest.h>

#include "autograd/ops/dropout.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "layers/linear.h"
#include "train/contract/check.h"

namespace dehvf::contract {
namespace {

// One for each check that an operator can fail, under its name.
const std::vector<std::string> kBugs{
    "wrong_values", "gradients",  "recomputed",    "live_parameters",   "neutral", "chosen_rows",
    "dropout",      "own_pixels", "no_images",     "shared_image",      "order",   "cache",
    "singles",      "f32",        "emulated_step", "emulated_decoding", "replay"};

// A bias made of the class token, dropped at a rate; "" has no bug.
class Planted : public FusionOperator {
 public:
  Planted(const FusionShapes& shapes, FusionConfig& config, std::string bug)
      : count_(shapes.tower_width * shapes.llm_width),
        level_(int(config.integer("level", shapes.tower_layers, bug == "wrong_values" ? -9 : 1,
                                  shapes.tower_layers))),
        dropout_(config.number("dropout", 0)),
        bug_(std::move(bug)),
        projector_(shapes.tower_width, shapes.llm_width, Bias::none) {}

  void describe(Describer& describer) override { describer.child("projector", projector_); }
  TowerNeeds tower() const override { return {.levels = {level_}}; }

  ImageState encode(const TowerLevels& tower) const override {
    if (tower.images == 0 && !has("no_images")) return {};
    std::vector<int32_t> class_rows;
    for (int64_t i = 0; i < tower.images; ++i) class_rows.push_back(int32_t(i * (1 + tower.patches)));
    const Variable level = tower.after_block.at(level_);
    const Variable rows = reshape(level, {level.shape().rows(), tower.width});
    return {.values = {projector_(gather_rows(rows, tensor_of(class_rows, rows.device())))}};
  }

  Variable beside_ffn(const Variable& u, const ImageState& state,
                      const BlockContext& context) const override {
    if (state.values.empty()) return {};
    const Variable& images = state.values[0];
    const Variable none(zeros({1, images.shape().last()}, images.dtype(), images.device()));
    const Variable parts[] = {none, images};
    const TextBatch& rows = has("chosen_rows") ? context.batch : context.rows;
    const Variable bias = gather_rows(concat_rows(parts), place(rows));
    if (has("chosen_rows")) return slice_rows(bias, 0, u.shape().rows());
    Variable out = scale(bias, factor(u, rows));
    if (has("gradients")) out = add(out, scale(bias.value(), 0.3));
    if (has("f32") && u.dtype() == DType::f32) out = cast(cast(out, DType::bf16), DType::f32);
    if (!context.training || dropout_ == 0) return out;
    const Tensor ids =
        has("dropout") ? Tensor(zeros(rows.sample_ids.shape(), DType::i64, u.device())) : rows.sample_ids;
    return dropout(out, rows.sample_offsets,
                   {.rate = dropout_,
                    .seed = context.seed,
                    .step = context.step,
                    .layer = uint64_t(context.layer),
                    .sample_ids = ids,
                    .positions = rows.positions,
                    .step_state = context.step_state});
  }

  CostReport cost() const override { return {.live = count_ - has("live_parameters")}; }
  Neutral neutral() const override { return {.settings = {{"projector.weight", has("neutral") ? 0.01 : 0}}}; }

 private:
  bool has(const char* bug) const { return bug_ == bug; }

  // Whose image stands beside each row.
  Tensor place(const TextBatch& rows) const {
    if (has("own_pixels")) return full(rows.image_row.shape(), 1, DType::i32, rows.image_row.device());
    if (!has("shared_image")) return rows.image_row;
    std::vector<int32_t> own;  // the samples' turns instead of their images
    for (int32_t s = 0, images = 0; s < int32_t(rows.samples()); ++s) {
      const bool sees = rows.image_of.data<int32_t>()[s] >= 0;
      images += sees;
      own.insert(own.end(), size_t(rows.lengths[size_t(s)]), sees ? std::min(images, 2) : 0);
    }
    return tensor_of(own);
  }
  double factor(const Variable& u, const TextBatch& rows) const {
    const bool emulated = u.device().kind == DeviceKind::emulator;
    if (has("recomputed")) return 1 + 0.01 * ++calls_;
    if (has("order")) return rows.lengths[0];
    if (has("cache")) return double(rows.count());
    if (has("singles")) return 2.0 - double(rows.samples());
    if (has("replay")) return 1 + double(rows.lengths[0]);
    return emulated && (has("emulated_step") || has("emulated_decoding")) ? 1.01 : 1;
  }

  int64_t count_;
  int level_;
  double dropout_;
  std::string bug_;
  Linear projector_;
  mutable int calls_ = 0;
};

// Operators are made by plain functions: one for each bug.
template <size_t i>
std::unique_ptr<FusionOperator> make_planted(const FusionShapes& shapes, FusionConfig& config) {
  return std::make_unique<Planted>(shapes, config, i == 0 ? "" : kBugs[i - 1]);
}
template <size_t... i>
std::vector<Fusion::Entry> makers(std::index_sequence<i...>) {
  return {make_planted<i>...};
}

// Registered here and not before, so that the other tests do not see them.
std::string planted(size_t which) {
  static const auto all = makers(std::make_index_sequence<32>());
  const std::string name = concat("planted_", which);
  auto& registry = Registry<Fusion>::instance();
  const auto keys = registry.keys();
  if (std::ranges::find(keys, name) == keys.end()) registry.provide(name, all.at(which));
  return name;
}

bool passes(const std::string& check_name, size_t which) {
  const tiny::Case c = tiny::cases_of(planted(which)).front();
  for (const Check& check : checks())
    if (check.name == check_name) return run_check(check, c).passed;
  throw Error("no such check: " + check_name);
}

TEST(PlantedBugs, AreFoundByTheirChecks) {
  for (size_t i = 0; i < kBugs.size(); ++i) EXPECT_FALSE(passes(kBugs[i], i + 1)) << kBugs[i];
}

TEST(PlantedBugs, WithoutOneEverythingPasses) {
  for (const Check& check : checks()) {
    const Result result = run_check(check, tiny::cases_of(planted(0)).front());
    EXPECT_TRUE(result.passed) << check.name << ": " << result.detail;
    EXPECT_EQ(result.skipped, "") << check.name;
  }
}

}  // namespace
}  // namespace dehvf::contract
