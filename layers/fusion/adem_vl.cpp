// ADEM-VL (arXiv 2410.17779): every FFN is joined by a cross attention without maps or softmax. Its rows are
// the patches of one level and their means over a coarser grid, projected; each token leaves out the rows it
// scores lowest. The class token is a token of the sequence.
#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "layers/fusion/class_tokens.h"
#include "layers/fusion/visual_tokens.h"

namespace dehvf {
namespace {

// The side of the square that `patches` form.
int64_t side_of(int64_t patches) {
  const auto side = int64_t(std::llround(std::sqrt(double(patches))));
  require<ConfigError>(side * side == patches, "fusion: adem_vl takes means over squares of patches, and ",
                       patches, " patches form no square");
  return side;
}

// Means over the cells of a `coarse` x `coarse` grid, once for each image: [images, coarse^2, side^2]. Where
// it does not divide, cells share the patches at their edges.
Tensor means(int64_t images, int64_t side, int64_t coarse, DType dtype, Device device) {
  const auto begin = [&](int64_t cell) { return cell * side / coarse; };
  const auto end = [&](int64_t cell) { return ((cell + 1) * side + coarse - 1) / coarse; };
  std::vector<double> weights(size_t(images * coarse * coarse * side * side));
  auto at = weights.begin();
  for (int64_t cell = 0; cell < images * coarse * coarse; ++cell) {
    const int64_t row = cell / coarse % coarse, column = cell % coarse;
    const double weight = 1.0 / double((end(row) - begin(row)) * (end(column) - begin(column)));
    for (int64_t y = 0; y < side; ++y)
      for (int64_t x = 0; x < side; ++x, ++at)
        if (begin(row) <= y && y < end(row) && begin(column) <= x && x < end(column)) *at = weight;
  }
  return cast(tensor_of(std::span<const double>(weights), Shape{images, coarse * coarse, side * side}), dtype)
      .to(device);
}

class AdemVl : public FusionOperator {
 public:
  AdemVl(const FusionShapes& shapes, FusionConfig& config)
      : shapes_(shapes),
        images_(read_images(config)),
        side_(side_of(shapes.patches)),
        level_(read_level(shapes, config)),
        coarse_(config.integer("pooled", std::max<int64_t>(1, side_ / 2), 1, side_)),
        seen_(shapes.patches + coarse_ * coarse_),
        rows_(images_ * seen_),
        lambda_(config.number("lambda", 0.01)),
        scale_(config.number("scale", 0.1)),
        dropped_(config.number("dropped", 0.1)),
        class_token_(config.flag("class_token", true)),
        place_(class_token_ ? read_place(config, "behind_bos") : Place::behind_bos),
        projector_(shapes.tower_width, config.integer("rank", 128, 1, 1 << 16), shapes.llm_width),
        class_projector_(shapes.tower_width, projector_.down.weight.shape()[0], shapes.llm_width),
        slot_keys_({rows_, shapes.llm_width}, {Initial::Kind::normal, 0.02}),
        slot_values_({rows_, shapes.llm_width}, {}) {
    require<ConfigError>(0 <= dropped_ && dropped_ < 1, "fusion.dropped: wanted 0 <= share < 1, found ",
                         dropped_);
    if (class_token_) require_class_token(shapes, "adem_vl with class_token");
    parameters_ = count_elements(*this);
  }

  void describe(Describer& describer) override {
    describer.parameter("slot_keys", slot_keys_);
    describer.parameter("slot_values", slot_values_);
    describer.child("projector", projector_);
    if (class_token_) describer.child("class_projector", class_projector_);
  }
  TowerNeeds tower() const override { return {.levels = {level_}, .adapters = true, .images = images_}; }

  // Keys, values and the class token. The first projector layer is linear: it comes before the means.
  ImageState encode(const TowerLevels& tower) const override {
    if (tower.images == 0) return {};
    const int64_t images = tower.images, rank = projector_.down.weight.shape()[0];
    const Variable fine = projector_.down(patches_of(tower, level_, true));
    const Variable pool(means(images, side_, coarse_, fine.dtype(), fine.device()));
    const Variable coarse = matmul(pool, reshape(fine, {images, shapes_.patches, rank}));
    const Variable parts[] = {reshape(fine, {images, shapes_.patches * rank}),
                              reshape(coarse, {images, coarse_ * coarse_ * rank})};
    const Variable low = reshape(concat_columns(parts), {images * seen_, rank});
    const Variable seen = scale(projector_.up(activate(low, Activation::silu)), lambda_);
    ImageState state{.values = {keys(seen), table(slot_values_, seen)}};
    const int levels[] = {level_};
    if (class_token_) state.values.push_back(class_projector_(class_tokens_of(tower, levels, true)));
    return state;
  }

  std::optional<InputTokens> insert(const TextBatch& text) const override {
    return class_token_ ? insert_tokens(text, images_, place_) : std::nullopt;
  }
  Variable tokens(const ImageState& state) const override {
    require(state.values.size() == 3, "fusion: texts with images, but no image was looked at");
    return state.values[2];
  }

  Variable beside_ffn(const Variable& u, const ImageState& state,
                      const BlockContext& context) const override {
    const bool none = state.values.empty();
    return visual_rows(
        activate(u, Activation::silu),
        {.image_keys = none ? keys({}) : state.values[0],
         .image_values = none ? table(slot_values_, {}) : state.values[1],
         .plan = {.sample_offsets = context.rows.sample_offsets,
                  .image_of = slice_columns(context.rows.image_spans, 2, 3).reshape({context.rows.samples()}),
                  .lambda = 1,
                  .scale = scale_,
                  .activation = {},
                  .dropped = dropped_}});
  }

  CostReport cost() const override {
    const int64_t d = shapes_.llm_width, in = shapes_.tower_width, rank = projector_.down.weight.shape()[0];
    const int64_t low = shapes_.patches * rank * (in + coarse_ * coarse_);
    return {.live = parameters_,
            .published = parameters_,
            .flops_per_image =
                2.0 * double(low + seen_ * rank * d + (class_token_ ? class_projector_.weights() : 0)),
            .flops_per_token = 4.0 * double(shapes_.llm_layers * rows_ * d),
            .tokens_per_image = class_token_ ? 1 : 0};
  }
  Neutral neutral() const override {
    if (class_token_) return never_neutral();
    return {.settings = {{"slot_values", 0}, {"projector.up.weight", 0}, {"projector.up.bias", 0}}};
  }

 private:
  // [1 + samples' images, rows, width]: the slots as they are, for samples without an image, then with what
  // was seen in the images of each, [images * seen, width] or empty.
  Variable table(const Parameter& slots, const Variable& seen) const {
    if (!seen.defined()) return reshape(slots, {1, rows_, shapes_.llm_width});
    const Variable parts[] = {Variable(zeros({rows_, shapes_.llm_width}, seen.dtype(), seen.device())), seen};
    const Variable all = concat_rows(parts);
    std::vector<int32_t> slot(size_t(all.shape()[0]));
    for (size_t i = 0; i < slot.size(); ++i) slot[i] = int32_t(i) % int32_t(rows_);
    const Variable repeated = gather_rows(cast(slots, seen.dtype()), tensor_of(slot, seen.device()));
    return reshape(add(all, repeated), {all.shape()[0] / rows_, rows_, shapes_.llm_width});
  }
  Variable keys(const Variable& seen) const { return activate(table(slot_keys_, seen), Activation::silu); }

  FusionShapes shapes_;
  int64_t images_;
  int64_t side_;
  int level_;
  int64_t coarse_, seen_, rows_;  // seen of an image; rows of all that a sample has
  double lambda_, scale_, dropped_;
  bool class_token_;
  Place place_;
  Projector projector_, class_projector_;
  Parameter slot_keys_, slot_values_;
  int64_t parameters_;
};

const Provide<Fusion> adem_vl{
    "adem_vl", [](const FusionShapes& shapes, FusionConfig& config) -> std::unique_ptr<FusionOperator> {
      return std::make_unique<AdemVl>(shapes, config);
    }};

}  // namespace
}  // namespace dehvf
