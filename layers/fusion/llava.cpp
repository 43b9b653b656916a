// LLaVA (arXiv 2304.08485, 2310.03744): the patches of one level, projected, are tokens of the sequence.
#include "autograd/ops/elementwise.h"
#include "layers/fusion/visual_tokens.h"
#include "layers/linear.h"

namespace dehvf {
namespace {

class Llava : public FusionOperator {
 public:
  Llava(const FusionShapes& shapes, FusionConfig& config)
      : shapes_(shapes),
        images_(read_images(config)),
        level_(read_level(shapes, config)),
        place_(read_place(config, "behind_bos")),
        hidden_(hidden_of(shapes, config)),
        first_(shapes.tower_width, hidden_ > 0 ? hidden_ : shapes.llm_width),
        second_(hidden_, shapes.llm_width) {}

  void describe(Describer& describer) override {
    describer.child(hidden_ > 0 ? "projector.hidden" : "projector", first_);
    if (hidden_ > 0) describer.child("projector.out", second_);
  }
  TowerNeeds tower() const override { return {.levels = {level_}, .adapters = true, .images = images_}; }

  ImageState encode(const TowerLevels& tower) const override {
    if (tower.images == 0) return {};
    const Variable projected = first_(patches_of(tower, level_, false));
    return {.values = {hidden_ > 0 ? second_(activate(projected, Activation::gelu)) : projected}};
  }
  std::optional<InputTokens> insert(const TextBatch& text) const override {
    return insert_tokens(text, images_ * shapes_.patches, place_);
  }
  Variable tokens(const ImageState& state) const override { return encoded_tokens(state); }

  CostReport cost() const override {
    const int64_t in = shapes_.tower_width, out = shapes_.llm_width;
    const int64_t weights = hidden_ > 0 ? hidden_ * (in + out) : in * out, live = weights + hidden_ + out;
    return {.live = live,
            .published = live,
            .flops_per_image = 2.0 * double(shapes_.patches * weights),
            .tokens_per_image = shapes_.patches};
  }
  Neutral neutral() const override { return never_neutral(); }

 private:
  // The width between the two layers; 0 for a linear projector.
  static int64_t hidden_of(const FusionShapes& shapes, FusionConfig& config) {
    static const std::string kProjectors[] = {"mlp", "linear"};
    if (config.choice("projector", "mlp", kProjectors) == "linear") return 0;
    return config.integer("hidden", shapes.llm_width, 1, 1 << 16);
  }

  FusionShapes shapes_;
  int64_t images_;
  int level_;
  Place place_;
  int64_t hidden_;
  Linear first_, second_;
};

const Provide<Fusion> llava{
    "llava", [](const FusionShapes& shapes, FusionConfig& config) -> std::unique_ptr<FusionOperator> {
      return std::make_unique<Llava>(shapes, config);
    }};

}  // namespace
}  // namespace dehvf
