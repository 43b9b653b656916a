// LLaMA-Adapter (arXiv 2303.16199, 2304.15010): learned prompts in front of the upper layers' attention, with
// a softmax of their own and gates that begin at zero. Version 1 adds the image to the prompts, version 2
// gives it to the first layers as prompts of their own.
#include <algorithm>
#include <array>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "layers/fusion/class_tokens.h"
#include "layers/fusion/visual_memory.h"
#include "layers/fusion/visual_tokens.h"

namespace dehvf {
namespace {

// {first row, rows} of an entry of a prefix.
using Entry = std::array<int32_t, 2>;

// The rows of each sample against the prefix rows of its entry.
Tensor prefix_spans(const TextBatch& rows, std::span<const Entry> entries) {
  const Tensor table = tensor_of(std::span<const int32_t>(entries.front().data(), 2 * entries.size()),
                                 Shape{int64_t(entries.size()), 2}, rows.image_spans.device());
  const Tensor entry = slice_columns(rows.image_spans, 2, 3).reshape({rows.samples()});
  const Tensor parts[] = {slice_columns(rows.image_spans, 0, 2), gather_rows(table, entry)};
  return concat_columns(parts);
}

struct Layer : Module {
  Layer(int64_t prompt_count, const FusionShapes& shapes)
      : prompts({prompt_count, shapes.llm_width}, {Initial::Kind::normal, 1}), gate({shapes.llm_heads}, {}) {}
  void describe(Describer& describer) override {
    if (prompts.shape()[0] > 0) describer.parameter("prompts", prompts);
    describer.parameter("gate", gate);
  }
  Parameter prompts, gate;
};

class LlamaAdapter : public FusionOperator {
 public:
  LlamaAdapter(const FusionShapes& shapes, FusionConfig& config)
      : shapes_(shapes),
        images_(read_images(config)),
        early_fusion_(config.integer("version", 1, 1, 2) == 2),
        prompts_(config.integer("prompts", early_fusion_ ? 20 : 10, 1, 1 << 12)) {
    const int depth = shapes.llm_layers;
    const auto upper = int(config.integer("layers", std::max(1, depth - (early_fusion_ ? 1 : 2)), 1, depth));
    const auto early = early_fusion_ ? int(config.integer("early_layers", 1, 1, depth)) : 0;
    require<ConfigError>(early + upper <= depth, "fusion.early_layers: the first ", early, " and the last ",
                         upper, " of ", depth, " layers overlap");
    require<ConfigError>(early_fusion_ || images_ == 1,
                         "fusion.images: llama_adapter of version 1 adds one image "
                         "to its prompts, found ",
                         images_, " images; take fusion.version=2");
    if (!early_fusion_) require_class_token(shapes, "llama_adapter");
    levels_ = early_fusion_ ? std::vector<int>{read_level(shapes, config)}
                            : spread_levels(shapes, config.integer("levels", 4, 1, shapes.tower_layers));
    projector_ = std::make_unique<Projector>(int64_t(levels_.size()) * shapes.tower_width,
                                             config.integer("rank", early_fusion_ ? 128 : 72, 1, 1 << 16),
                                             shapes.llm_width);
    layers_.resize(size_t(depth));
    for (int l = 0; l < depth; ++l)
      if (l < early || l >= depth - upper)
        layers_[size_t(l)] = std::make_unique<Layer>(l < early ? 0 : prompts_, shapes);
    parameters_ = count_elements(*this);
  }

  void describe(Describer& describer) override {
    describer.child("projector", *projector_);
    for (size_t l = 0; l < layers_.size(); ++l)
      if (layers_[l]) describer.child(concat("layers.", l), *layers_[l]);
  }
  TowerNeeds tower() const override { return {.levels = levels_, .images = images_}; }

  // [samples' images, rows of each, width]: a feature of the whole image, or all of a level.
  ImageState encode(const TowerLevels& tower) const override {
    if (tower.images == 0) return {};
    const Variable seen =
        early_fusion_ ? stack_levels(tower, levels_, true) : class_tokens_of(tower, levels_, true);
    const int64_t width = projector_->down.weight.shape()[1];
    const int64_t of_samples = tower.images / images_;
    return {.values = {(*projector_)(
                reshape(seen, {of_samples, seen.shape().count() / of_samples / width, width}))}};
  }

  std::optional<Prefix> attention_prefix(const ImageState& state,
                                         const BlockContext& context) const override {
    const Layer* layer = layers_[size_t(context.layer)].get();
    if (!layer) return std::nullopt;
    const int64_t images = state.values.empty() ? 0 : state.values[0].shape()[0];
    const auto count = int32_t(prompts_);
    Variable rows;
    std::vector<Entry> entries;
    if (layer->prompts.shape()[0] == 0) {
      if (images == 0) return std::nullopt;
      const auto each = int32_t(state.values[0].shape()[1]);
      rows = reshape(state.values[0], {images * each, shapes_.llm_width});
      entries = {Entry{0, 0}};
      for (int32_t i = 0; i < int32_t(images); ++i) entries.push_back({i * each, each});
    } else if (early_fusion_ || images == 0) {
      rows = layer->prompts;
      entries.assign(size_t(1 + images), Entry{0, count});
    } else {
      rows = with_images(layer->prompts, state.values[0]);
      for (int32_t i = 0; i <= int32_t(images); ++i) entries.push_back({i * count, count});
    }
    return Prefix{rows, activate(layer->gate, Activation::tanh), prefix_spans(context.rows, entries)};
  }

  CostReport cost() const override {
    const int64_t d = shapes_.llm_width, queries = shapes_.llm_heads * shapes_.llm_head_dim,
                  maps = 2 * d * shapes_.llm_kv_heads * shapes_.llm_head_dim;  // k and v of a row
    CostReport cost{.live = parameters_, .published = parameters_};
    cost.flops_per_image = 2.0 * double((early_fusion_ ? seen_rows() : 1) * projector_->weights());
    for (const auto& layer : layers_) {
      if (!layer) continue;
      const bool prompts = layer->prompts.shape()[0] > 0;
      const int64_t rows = prompts ? prompts_ : seen_rows();
      cost.flops_per_token += 4.0 * double((prompts ? rows : images_ * rows) * queries);
      if (prompts) cost.flops_once += 2.0 * double(rows * maps);
      if (!prompts || !early_fusion_) cost.flops_per_image += 2.0 * double(rows * maps);
    }
    return cost;
  }

  Neutral neutral() const override {
    Neutral neutral;
    for (size_t l = 0; l < layers_.size(); ++l)
      if (layers_[l]) neutral.settings[concat("layers.", l, ".gate")] = 0;
    return neutral;
  }

 private:
  int64_t seen_rows() const { return shapes_.patches + (shapes_.class_token ? 1 : 0); }

  // The prompts as they are, then for every image with its feature added.
  Variable with_images(const Variable& prompts, const Variable& seen) const {
    const int64_t images = seen.shape()[0], width = shapes_.llm_width;
    const Variable none(zeros({1, width}, seen.dtype(), seen.device()));
    const Variable parts[] = {none, reshape(seen, {images, width})};
    std::vector<int32_t> entry, prompt;
    for (int64_t i = 0; i <= images; ++i)
      for (int64_t p = 0; p < prompts_; ++p) entry.push_back(int32_t(i)), prompt.push_back(int32_t(p));
    return add(gather_rows(concat_rows(parts), tensor_of(entry, seen.device())),
               gather_rows(cast(prompts, seen.dtype()), tensor_of(prompt, seen.device())));
  }

  FusionShapes shapes_;
  int64_t images_;
  bool early_fusion_;  // version 2
  int64_t prompts_;
  std::vector<int> levels_;
  std::unique_ptr<Projector> projector_;
  std::vector<std::unique_ptr<Layer>> layers_;  // null where nothing is put in front
  int64_t parameters_;
};

const Provide<Fusion> llama_adapter{
    "llama_adapter", [](const FusionShapes& shapes, FusionConfig& config) -> std::unique_ptr<FusionOperator> {
      return std::make_unique<LlamaAdapter>(shapes, config);
    }};

}  // namespace
}  // namespace dehvf
