// LaVIN (arXiv 2305.15023): class tokens of several levels are tokens of the sequence; before every
// attention stands an adapter with two branches, mixed by what a token that says whether there is an image
// has become. Nothing else sees that token, so one for each answer serves the whole batch: they are two more
// texts.
#include "autograd/ops/dropout.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "layers/fusion/class_tokens.h"
#include "layers/fusion/visual_tokens.h"
#include "layers/routed_adapter.h"

namespace dehvf {
namespace {

constexpr int64_t kModalities = 2;  // without an image, with one

struct LavinConfig {
  int64_t dim, groups;
  double temperature, scale, dropout;
};

LavinConfig read_config(const FusionShapes& shapes, FusionConfig& config) {
  const LavinConfig result{.dim = config.integer("dim", 8, 1, 1 << 14),
                           .groups = config.integer("groups", 2, 1, 1 << 14),
                           .temperature = config.number("temperature", 10),
                           .scale = config.number("scale", 1),
                           .dropout = config.number("dropout", 0.1)};
  require<ConfigError>(result.dim % result.groups == 0 && shapes.llm_width % result.groups == 0,
                       "fusion.groups: found ", result.groups, ", wanted a divisor of fusion.dim, ",
                       result.dim, ", and of the language model's width, ", shapes.llm_width);
  require<ConfigError>(result.temperature > 0, "fusion.temperature: wanted above 0, found ",
                       result.temperature);
  require<ConfigError>(0 <= result.dropout && result.dropout < 1,
                       "fusion.dropout: wanted 0 <= rate < 1, found ", result.dropout);
  return result;
}

// `more` behind `given`, both i32 (or i64) of one width.
template <class T>
Tensor with_more(const Tensor& given, const std::vector<T>& more) {
  const Shape shape = given.shape().with(0, int64_t(more.size()) * given.size(0) / given.count());
  const Tensor parts[] = {given, tensor_of(std::span<const T>(more), shape)};
  return concat_rows(parts);
}

// The two texts of one token each behind the others; their rows of tokens() are the first.
void append_modalities(InputTokens& tokens, int64_t text_rows) {
  TextBatch& batch = tokens.batch;
  const auto at = int32_t(batch.count()), row = int32_t(text_rows);
  tokens.source = with_more<int32_t>(tokens.source, {row, row + 1});
  batch.lengths.insert(batch.lengths.end(), {1, 1});
  batch.sample_ids = with_more<int64_t>(batch.sample_ids, {-2, -3});
  batch.tokens = with_more<int32_t>(batch.tokens, {-1, -1});
  batch.positions = with_more<int32_t>(batch.positions, {0, 0});
  batch.sample_offsets = with_more<int32_t>(batch.sample_offsets, {at + 1, at + 2});
  batch.spans = with_more<int32_t>(batch.spans, {at, 1, at, 1, at + 1, 1, at + 1, 1});
  batch.image_of = with_more<int32_t>(batch.image_of, {-1, 0});
  batch.set_images();
}

class Lavin : public FusionOperator {
 public:
  Lavin(const FusionShapes& shapes, FusionConfig& config)
      : shapes_(shapes),
        images_(read_images(config)),
        place_(read_place(config, "behind_bos")),
        config_(read_config(shapes, config)),
        levels_(spread_levels(
            shapes, config.integer("levels", std::max(1, shapes.tower_layers / 4), 1, shapes.tower_layers))),
        projector_(shapes.tower_width, config.integer("rank", 128, 1, 1 << 16), shapes.llm_width),
        modalities_({kModalities, shapes.llm_width}, {Initial::Kind::normal, 1}) {
    require_class_token(shapes, "lavin");
    for (int l = 0; l < shapes.llm_layers; ++l)
      adapters_.push_back(std::make_unique<RoutedAdapter>(shapes.llm_width, config_.dim, config_.groups));
    parameters_ = count_elements(*this);
  }

  void describe(Describer& describer) override {
    describer.child("projector", projector_);
    describer.parameter("modalities", modalities_);
    for (size_t l = 0; l < adapters_.size(); ++l)
      describer.child(concat("layers.", l, ".adapter"), *adapters_[l]);
  }
  TowerNeeds tower() const override { return {.levels = levels_, .adapters = true, .images = images_}; }

  ImageState encode(const TowerLevels& tower) const override {
    if (tower.images == 0) return {};
    return {.values = {projector_(class_tokens_of(tower, levels_, false))}};
  }

  std::optional<InputTokens> insert(const TextBatch& text) const override {
    InputTokens tokens = insert_tokens(text, images_ * int64_t(levels_.size()), place_, kModalities)
                             .value_or(InputTokens{text, counted(text.count()), counted(text.count())});
    append_modalities(tokens, text.count());
    return tokens;
  }
  Variable tokens(const ImageState& state) const override {
    if (state.values.empty()) return modalities_;
    const Variable parts[] = {cast(modalities_, state.values[0].dtype()), state.values[0]};
    return concat_rows(parts);
  }

  Variable before_attention(const Variable& x, const ImageState& state,
                            const BlockContext& context) const override {
    const RoutedAdapter& adapter = *adapters_[size_t(context.layer)];
    Variable low = adapter.down(x);
    if (context.training)
      low = dropout(low, context.batch.sample_offsets,
                    {.rate = config_.dropout,
                     .seed = context.seed,
                     .step = context.step,
                     .layer = uint64_t(context.layer),
                     .sample_ids = context.batch.sample_ids,
                     .positions = context.batch.positions,
                     .step_state = context.step_state});
    const Variable weights = of_every_row(mixtures(adapter, x, context), state, context);
    return add(x, scale(adapter.up(low, weights), config_.scale));
  }

  CostReport cost() const override {
    const auto tokens = double(levels_.size());
    return {.live = parameters_,
            .published = parameters_,
            .flops_per_image = 2 * tokens * double(projector_.weights()),
            .flops_per_token = shapes_.llm_layers * adapters_[0]->flops_per_row(),
            .tokens_per_image = int64_t(levels_.size()),
            .flops_once = shapes_.llm_layers * 4.0 * double(kModalities * shapes_.llm_width),  // routers
            .tokens_once = kModalities};
  }
  Neutral neutral() const override { return never_neutral(); }

 private:
  static Tensor counted(int64_t count) {
    std::vector<int32_t> numbers;
    for (int64_t i = 0; i < count; ++i) numbers.push_back(int32_t(i));
    return tensor_of(numbers);
  }

  // [modalities, branches], from the last two rows; while decoding those of the prompt.
  Variable mixtures(const RoutedAdapter& adapter, const Variable& x, const BlockContext& context) const {
    if (context.memory && context.memory->defined()) return Variable(*context.memory);
    const int64_t rows = x.shape()[0];
    const Variable found = adapter.weights(slice_rows(x, rows - kModalities, rows), config_.temperature);
    if (context.memory) *context.memory = found.value();
    return found;
  }

  // [rows, branches]
  static Variable of_every_row(const Variable& mixtures, const ImageState& state,
                               const BlockContext& context) {
    const int64_t tokens = state.values.empty() ? 1 : state.values[0].shape()[0];
    std::vector<int32_t> modality(size_t(1 + tokens), 1);  // more entries than images
    modality[0] = 0;
    return gather_rows(gather_rows(mixtures, tensor_of(modality, mixtures.device())),
                       context.batch.image_row);
  }

  FusionShapes shapes_;
  int64_t images_;
  Place place_;
  LavinConfig config_;
  std::vector<int> levels_;
  Projector projector_;
  Parameter modalities_;
  std::vector<std::unique_ptr<RoutedAdapter>> adapters_;
  int64_t parameters_;
};

const Provide<Fusion> lavin{
    "lavin", [](const FusionShapes& shapes, FusionConfig& config) -> std::unique_ptr<FusionOperator> {
      return std::make_unique<Lavin>(shapes, config);
    }};

}  // namespace
}  // namespace dehvf
