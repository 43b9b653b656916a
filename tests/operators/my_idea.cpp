// Every layer scales its FFN input by a vector that a trained matrix makes of the image's class token.
#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "layers/fusion/operator.h"
#include "layers/linear.h"

namespace dehvf {
namespace {

class MyIdea : public FusionOperator {
 public:
  MyIdea(const FusionShapes& shapes, FusionConfig& config)
      : shapes_(shapes),
        level_(int(config.integer("level", shapes.tower_layers, 1, shapes.tower_layers))),
        strength_(config.number("strength", 0.1)),
        projector_(shapes.tower_width, shapes.llm_width, Bias::none) {
    require<ConfigError>(shapes.class_token, "my_idea reads the class token, and this tower has none");
  }

  void describe(Describer& describer) override { describer.child("projector", projector_); }
  TowerNeeds tower() const override { return {.levels = {level_}}; }

  ImageState encode(const TowerLevels& tower) const override {
    if (tower.images == 0) return {};
    std::vector<int32_t> class_rows;
    for (int64_t i = 0; i < tower.images; ++i) class_rows.push_back(int32_t(i * (1 + tower.patches)));
    const Variable level = tower.after_block.at(level_);
    const Variable rows = reshape(level, {level.shape().rows(), tower.width});
    return {.values = {projector_(gather_rows(rows, tensor_of(class_rows, rows.device())))}};
  }

  Variable beside_ffn(const Variable& u, const ImageState& state,
                      const BlockContext& context) const override {
    if (state.values.empty()) return {};
    const Variable& images = state.values[0];  // [images, width]
    const Variable none(zeros({1, images.shape().last()}, images.dtype(), images.device()));
    const Variable parts[] = {none, images};
    return scale(multiply(u, gather_rows(concat_rows(parts), context.rows.image_row)), strength_);
  }

  CostReport cost() const override {
    const int64_t count = shapes_.tower_width * shapes_.llm_width;
    return {.live = count, .published = count, .flops_per_image = 2.0 * double(count)};
  }
  Neutral neutral() const override { return {.settings = {{"projector.weight", 0}}}; }

 private:
  FusionShapes shapes_;
  int level_;
  double strength_;
  Linear projector_;
};

const Provide<Fusion> my_idea{
    "my_idea", [](const FusionShapes& shapes, FusionConfig& config) -> std::unique_ptr<FusionOperator> {
      return std::make_unique<MyIdea>(shapes, config);
    }};

}  // namespace
}  // namespace dehvf
