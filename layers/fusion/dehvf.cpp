// DEHVF (arXiv 2508.17638): every layer of the language model mixes the levels of its group of tower blocks
// by weights that depend on the image, and gets the mix as rows beside its FFN. method.md 2, 9 and 10.
#include <numeric>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/group_mix.h"
#include "autograd/ops/rows.h"
#include "autograd/ops/split.h"
#include "layers/fusion/fuser.h"
#include "layers/fusion/visual_memory.h"

namespace dehvf {
namespace {

class Dehvf : public FusionOperator {
 public:
  Dehvf(const FusionShapes& shapes, FusionConfig& config)
      : shapes_(shapes), memory_(shapes, VisualMemoryConfig::read(shapes, config)) {
    static const std::string kWeights[] = {"dynamic", "mean"}, kMappings[] = {"aligned", "reversed"},
                             kNorms[] = {"post", "raw"};
    groups_ = int(config.integer("groups", 4, 1, shapes.tower_layers));
    require<ConfigError>(shapes.tower_layers % groups_ == 0, "fusion.groups: the tower's ",
                         shapes.tower_layers, " levels do not divide into ", groups_, " groups");
    positions_ = int(config.integer("positions", 2, 1, 2));
    post_norm_ = config.choice("level_norm", "post", kNorms) == "post";
    const bool reversed = config.choice("mapping", "aligned", kMappings) == "reversed";
    for (int l = 0; l < shapes.llm_layers; ++l) {
      const int group = group_of(l, shapes.llm_layers, groups_);
      group_for_.push_back(reversed ? groups_ - 1 - group : group);
    }
    if (config.choice("weights", "dynamic", kWeights) == "mean") return;  // neither fuser nor queries exist
    require<ConfigError>(shapes.class_token,
                         "fusion: the fuser's keys are class tokens, and this tower has none");
    const FuserConfig fuser{.layers = shapes.llm_layers,
                            .positions = positions_,
                            .groups = groups_,
                            .levels = shapes.tower_layers,
                            .embedding = config.integer("embedding", 64, 1, 1 << 14),
                            .hidden = config.integer("hidden", 128, 1, 1 << 14),
                            .width = config.integer("width", 64, 1, 1 << 14),
                            .heads = int(config.integer("heads", 4, 1, 64)),
                            .blocks = int(config.integer("blocks", 4, 1, 64)),
                            .tower_width = shapes.tower_width};
    require<ConfigError>(fuser.width % fuser.heads == 0, "fusion.width: ", fuser.width,
                         " does not divide into ", fuser.heads, " heads");
    fuser_ = std::make_unique<Fuser>(fuser);
  }

  void describe(Describer& describer) override {
    memory_.describe(describer);
    if (fuser_) fuser_->describe(describer);
  }

  TowerNeeds tower() const override {
    std::vector<int> levels(size_t(shapes_.tower_layers));
    std::iota(levels.begin(), levels.end(), 1);
    return {.levels = std::move(levels), .adapters = true};
  }

  ImageState encode(const TowerLevels& tower) const override {
    if (tower.images == 0) return {};
    const int count = shapes_.tower_layers, per_group = count / groups_,
              queries = shapes_.llm_layers * positions_;
    const Variable levels = stack_levels(tower, this->tower().levels, post_norm_);
    const Variable flat = reshape(levels, {levels.shape().rows(), tower.width});
    const Variable low = gather_rows(memory_.down(flat), patch_index(tower, count, flat.device()));
    const int64_t rank = low.shape().last();
    ImageState state;
    const Variable weights = fuser_ ? (*fuser_)(class_tokens(flat, tower), group_for_)
                                    : Variable(full({tower.images, queries, per_group}, 1.0 / per_group,
                                                    flat.dtype(), flat.device()));
    std::vector<int32_t> first;
    for (int group : group_for_) first.insert(first.end(), size_t(positions_), group * per_group);
    const Variable mixed = group_mix(weights, reshape(low, {tower.images, count, tower.patches, rank}),
                                     tensor_of(first, low.device()));
    const std::vector<Variable> z = split(memory_.activate_mixed(mixed));
    for (auto first_z = z.begin(); first_z != z.end(); first_z += positions_)
      state.of_layer.emplace_back(first_z, first_z + positions_);
    state.fuser_weights = reshape(weights, {tower.images, shapes_.llm_layers, positions_, per_group});
    return state;
  }

  std::optional<VisualRows> ffn_rows(const ImageState& state, const BlockContext& context) const override {
    if (state.of_layer.empty()) return memory_.rows({}, {}, context);
    const auto& z = state.of_layer[size_t(context.layer)];  // of both sides, or of the key and the value side
    return memory_.rows(z.front(), z.back(), context);
  }

  CostReport cost() const override {
    Dehvf& self = const_cast<Dehvf&>(*this);  // describe() is not const; counting changes nothing
    const int64_t live = count_elements(self), rank = memory_.config().rank;
    const double per_group = double(shapes_.tower_layers) / groups_,
                 queries = double(shapes_.llm_layers) * positions_;
    const double rows =
                     double(shapes_.patches) + (shapes_.class_token ? 1 : 0),  // all go through the projector
        low = rows * double(rank * shapes_.tower_layers * shapes_.tower_width),
                 mix = double(shapes_.patches * rank) * queries * per_group;
    return {.live = live,
            .published = live,
            .flops_per_image = 2 * (low + mix) + (fuser_ ? fuser_->flops_per_image() : 0),
            .flops_per_token = shapes_.llm_layers * memory_.flops_per_token(),
            .flops_once = fuser_ ? fuser_->flops_once() : 0};
  }

  Neutral neutral() const override {
    return {.settings = {{"slot_values", 0}, {"projector.up.weight", 0}, {"projector.up.bias", 0}}};
  }

 private:
  Variable class_tokens(const Variable& flat, const TowerLevels& tower) const {  // [images, levels, width]
    std::vector<int32_t> index;
    for (int64_t image = 0; image < tower.images; ++image)
      for (int level = 0; level < shapes_.tower_layers; ++level)
        index.push_back(int32_t((level * tower.images + image) * (tower.patches + 1)));
    return reshape(gather_rows(flat, tensor_of(index, flat.device())),
                   {tower.images, shapes_.tower_layers, tower.width});
  }

  FusionShapes shapes_;
  VisualMemory memory_;
  std::unique_ptr<Fuser> fuser_;
  int groups_ = 0, positions_ = 0;
  bool post_norm_ = true;
  std::vector<int> group_for_;  // of each layer
};

const Provide<Fusion> dehvf{
    "dehvf", [](const FusionShapes& shapes, FusionConfig& config) -> std::unique_ptr<FusionOperator> {
      return std::make_unique<Dehvf>(shapes, config);
    }};

}  // namespace
}  // namespace dehvf
