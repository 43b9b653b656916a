// DEHVF (arXiv 2508.17638): every layer of the language model mixes the levels of its group of tower blocks
// by weights that depend on the image, and gets the mix as rows beside its FFN. method.md 2, 9 and 10.
#include <numeric>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/group_mix.h"
#include "autograd/ops/rows.h"
#include "autograd/ops/softmax.h"
#include "autograd/ops/split.h"
#include "core/random.h"
#include "layers/fusion/fuser.h"
#include "layers/fusion/visual_memory.h"

namespace dehvf {
namespace {

class Dehvf : public FusionOperator {
 public:
  Dehvf(const FusionShapes& shapes, FusionConfig& config)
      : shapes_(shapes), memory_(shapes, VisualMemoryConfig::read(shapes, config)) {
    static const std::string kWeights[] = {"dynamic", "learned", "mean"},
                             kMappings[] = {"aligned", "reversed", "random"}, kNorms[] = {"post", "raw"},
                             kFusers[] = {"shared", "per_group"};
    groups_ = int(config.integer("groups", 4, 1, shapes.tower_layers));
    per_group_ = shapes.tower_layers / groups_;
    positions_ = int(config.integer("positions", 2, 1, 2));
    post_norm_ = config.choice("level_norm", "post", kNorms) == "post";
    map_layers(config.choice("mapping", "aligned", kMappings));
    const std::string weights = config.choice("weights", "dynamic", kWeights);
    if (weights == "learned")
      logits_ = std::make_unique<Parameter>(Shape{shapes.llm_layers * positions_, per_group_}, Initial{});
    if (weights != "dynamic") return;  // neither fuser nor queries exist
    const FuserConfig fuser{.layers = shapes.llm_layers,
                            .positions = positions_,
                            .groups = groups_,
                            .levels = levels(),
                            .embedding = config.integer("embedding", 64, 1, 1 << 14),
                            .hidden = config.integer("hidden", 128, 1, 1 << 14),
                            .width = config.integer("width", 64, 1, 1 << 14),
                            .heads = int(config.integer("heads", 4, 1, 64)),
                            .blocks = int(config.integer("blocks", 4, 1, 64)),
                            .tower_width = shapes.tower_width,
                            .per_group = config.choice("fuser", "shared", kFusers) == "per_group"};
    require<ConfigError>(fuser.width % fuser.heads == 0, "fusion.width: ", fuser.width,
                         " does not divide into ", fuser.heads, " heads");
    fuser_ = std::make_unique<Fuser>(fuser);
  }

  void describe(Describer& describer) override {
    memory_.describe(describer);
    if (fuser_) fuser_->describe(describer);
    if (logits_) describer.parameter("weight_logits", *logits_);
  }

  TowerNeeds tower() const override {
    std::vector<int> which(static_cast<size_t>(levels()));
    std::iota(which.begin(), which.end(), 1 + shapes_.tower_layers - levels());
    return {.levels = std::move(which), .adapters = true, .images = memory_.config().images};
  }

  std::vector<std::string> notes() const override {
    std::vector<std::string> result;
    if (const int unread = shapes_.tower_layers - levels(); unread > 0)
      result.push_back(concat("fusion: the tower's ", shapes_.tower_layers, " levels do not divide into ",
                              groups_, " groups: the deepest ", levels(), " are used, ", per_group_,
                              " a group, and the first ", unread, " are not"));
    if (fuser_ && !shapes_.class_token)
      result.emplace_back("fusion: the tower has no class token: the fuser's keys are means of the patches");
    return result;
  }

  ImageState encode(const TowerLevels& tower) const override {
    if (tower.images == 0) return {};
    const int count = levels();
    const Variable stacked = stack_levels(tower, this->tower().levels, post_norm_);
    const Variable flat = reshape(stacked, {stacked.shape().rows(), tower.width});
    const Variable low = gather_rows(memory_.down(flat), patch_index(tower, count, flat.device()));
    const int64_t rank = low.shape().last();
    ImageState state;
    const Variable weights = weights_of(stacked);
    std::vector<int32_t> first;
    for (int group : group_for_) first.insert(first.end(), size_t(positions_), group * per_group_);
    const Variable mixed = group_mix(weights, reshape(low, {tower.images, count, tower.patches, rank}),
                                     tensor_of(first, low.device()));
    const std::vector<Variable> z = split(memory_.activate_mixed(mixed));
    for (auto first_z = z.begin(); first_z != z.end(); first_z += positions_)
      state.of_layer.emplace_back(first_z, first_z + positions_);
    state.fuser_weights = reshape(weights, {tower.images, shapes_.llm_layers, positions_, per_group_});
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
    const double rows = double(shapes_.patches) + (shapes_.class_token ? 1 : 0),  // all through the projector
        queries = double(shapes_.llm_layers) * positions_,
                 low = rows * double(rank * levels() * shapes_.tower_width),
                 mix = double(shapes_.patches * rank) * queries * per_group_;
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
  int levels() const { return groups_ * per_group_; }  // that are used: the deepest

  // The group of every layer. At random: those of the aligned mapping in another order, always the same.
  void map_layers(const std::string& mapping) {
    for (int l = 0; l < shapes_.llm_layers; ++l) {
      const int group = group_of(l, shapes_.llm_layers, groups_);
      group_for_.push_back(mapping == "reversed" ? groups_ - 1 - group : group);
    }
    if (mapping != "random") return;
    Random(1).shuffle(group_for_);
  }

  Variable weights_of(const Variable& stacked) const {  // [images, queries, levels of a group]
    if (fuser_) return (*fuser_)(summaries(stacked), group_for_);
    const int64_t images = stacked.shape()[1], queries = int64_t(shapes_.llm_layers) * positions_;
    const Shape shape{images, queries, per_group_};
    if (!logits_) return Variable(full(shape, 1.0 / per_group_, stacked.dtype(), stacked.device()));
    std::vector<int32_t> repeat;
    for (int64_t i = 0; i < images * queries; ++i) repeat.push_back(int32_t(i % queries));
    return softmax(reshape(gather_rows(*logits_, tensor_of(repeat, stacked.device())), shape));
  }

  // What stands for a level as a whole: its class token, or the mean of its patches where the tower has none.
  // [levels, images, tokens, width] -> [images, levels, width]
  Variable summaries(const Variable& stacked) const {
    const int64_t images = stacked.shape()[1], tokens = stacked.shape()[2], width = stacked.shape().last();
    const Device device = stacked.device();
    std::vector<int32_t> index;
    for (int64_t image = 0; image < images; ++image)
      for (int level = 0; level < levels(); ++level)
        index.push_back(int32_t((level * images + image) * (shapes_.class_token ? tokens : 1)));
    const int64_t all = levels() * images;
    const Variable rows =
        shapes_.class_token
            ? stacked
            : group_mix(Variable(full({all, 1, tokens}, 1.0 / double(tokens), stacked.dtype(), device)),
                        reshape(stacked, {all, tokens, 1, width}), zeros({1}, DType::i32, device));
    return reshape(gather_rows(reshape(rows, {rows.shape().rows(), width}), tensor_of(index, device)),
                   {images, levels(), width});
  }

  FusionShapes shapes_;
  VisualMemory memory_;
  std::unique_ptr<Fuser> fuser_;
  std::unique_ptr<Parameter> logits_;  // of weights that do not look at the image
  int groups_ = 0, per_group_ = 0, positions_ = 0;
  bool post_norm_ = true;
  std::vector<int> group_for_;  // of each layer
};

const Provide<Fusion> dehvf{
    "dehvf", [](const FusionShapes& shapes, FusionConfig& config) -> std::unique_ptr<FusionOperator> {
      return std::make_unique<Dehvf>(shapes, config);
    }};

}  // namespace
}  // namespace dehvf
