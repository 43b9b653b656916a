// MemVP (arXiv 2405.05615): the patches of one level, the same rows for every layer and both sides.
// method.md 3.
#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "layers/fusion/visual_memory.h"

namespace dehvf {
namespace {

class MemVp : public FusionOperator {
 public:
  MemVp(const FusionShapes& shapes, FusionConfig& config)
      : shapes_(shapes),
        memory_(shapes, VisualMemoryConfig::read(shapes, config)),
        // The published code stops before the last block.
        level_(int(config.integer("level", shapes.tower_layers - 1, 1, shapes.tower_layers))) {}

  void describe(Describer& describer) override { memory_.describe(describer); }
  TowerNeeds tower() const override {
    return {.levels = {level_}, .adapters = true, .images = memory_.config().images};
  }

  ImageState encode(const TowerLevels& tower) const override {
    if (tower.images == 0) return {};
    const int which[] = {level_};
    const Variable low = memory_.down(stack_levels(tower, which, true));
    const int64_t rank = low.shape().last();
    const Variable patches =
        gather_rows(reshape(low, {low.shape().rows(), rank}), patch_index(tower, 1, low.device()));
    return {.values = {memory_.activate_mixed(reshape(patches, {tower.images, tower.patches, rank}))}};
  }

  std::optional<VisualRows> ffn_rows(const ImageState& state, const BlockContext& context) const override {
    const Variable z = state.values.empty() ? Variable() : state.values[0];
    return memory_.rows(z, z, context);
  }

  CostReport cost() const override {
    const int64_t n = memory_.config().slots, rank = memory_.config().rank, d = shapes_.llm_width;
    const int64_t live = 2 * n * d + rank * (shapes_.tower_width + 1) + d * (rank + 1);
    return {.live = live,
            .published = live + 2 * d,  // an unused modality embedding is counted in the paper's table
            // The class token goes through the projector's first map, and no further.
            .flops_per_image =
                2.0 * double((shapes_.patches + (shapes_.class_token ? 1 : 0)) * shapes_.tower_width * rank),
            .flops_per_token = shapes_.llm_layers * memory_.flops_per_token()};
  }

  Neutral neutral() const override {
    return {.settings = {{"slot_values", 0}, {"projector.up.weight", 0}, {"projector.up.bias", 0}}};
  }

 private:
  FusionShapes shapes_;
  VisualMemory memory_;
  int level_;
};

const Provide<Fusion> memvp{
    "memvp", [](const FusionShapes& shapes, FusionConfig& config) -> std::unique_ptr<FusionOperator> {
      return std::make_unique<MemVp>(shapes, config);
    }};

}  // namespace
}  // namespace dehvf
