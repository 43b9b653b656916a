// A Q-Former after BLIP-2 (arXiv 2301.12597): learned queries read the patches of one level, and what they
// have read, projected, are tokens of the sequence. A reconstruction at a size of its own.
#include <cmath>

#include "autograd/ops/attention.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "layers/fusion/visual_tokens.h"
#include "layers/linear.h"

namespace dehvf {
namespace {

constexpr double kEps = 1e-12;  // BERT's

struct QFormerConfig {
  int64_t queries, width, hidden;
  int heads, blocks, cross_every;
};

QFormerConfig read_config(FusionConfig& config) {
  QFormerConfig result{};
  result.queries = config.integer("queries", 32, 1, 1 << 16);
  result.width = config.integer("width", 256, 1, 1 << 14);
  result.hidden = config.integer("hidden", 4 * result.width, 1, 1 << 16);
  result.heads = int(config.integer("heads", 4, 1, 64));
  result.blocks = int(config.integer("blocks", 2, 1, 64));
  result.cross_every = int(config.integer("cross_every", 2, 1, 64));
  require<ConfigError>(result.width % result.heads == 0, "fusion.width: ", result.width,
                       " does not divide into ", result.heads, " heads");
  return result;
}

// Rows of every image on their own: `queries` of them against `keys`.
Tensor spans_of(int64_t images, int64_t queries, int64_t keys, Device device) {
  std::vector<int32_t> spans;
  for (int64_t i = 0; i < images; ++i)
    spans.insert(spans.end(), {int32_t(i * queries), int32_t(queries), int32_t(i * keys), int32_t(keys)});
  return tensor_of(spans, device).reshape({images, 4});
}

// Attention, and the norm of its sum with what asked.
struct Reading : Module {
  Reading(int64_t width, int64_t from, int heads)
      : q(width, width), k(from, width), v(from, width), o(width, width), norm(width, kEps), heads(heads) {}
  void describe(Describer& describer) override {
    describer.child("q", q);
    describer.child("k", k);
    describer.child("v", v);
    describer.child("o", o);
    describer.child("norm", norm);
  }
  Variable operator()(const Variable& x, const Variable& from, const Tensor& spans) const {
    const int64_t dim = x.shape().last() / heads;
    const auto by_head = [&](const Variable& y) { return reshape(y, {y.shape()[0], heads, dim}); };
    const Variable read = attention(by_head(q(x)), by_head(k(from)), by_head(v(from)), spans,
                                    {.causal = false, .scale = 1 / std::sqrt(double(dim))});
    return norm(x, o(reshape(read, x.shape()))).normed;
  }
  Linear q, k, v, o;
  LayerNorm norm;
  int heads;
};

struct Block : Module {
  Block(const QFormerConfig& c, int64_t tower_width, bool crosses)
      : self(c.width, c.width, c.heads),
        cross(c.width, tower_width, c.heads),
        up(c.width, c.hidden),
        down(c.hidden, c.width),
        mlp_norm(c.width, kEps),
        crosses(crosses) {}
  void describe(Describer& describer) override {
    describer.child("self", self);
    if (crosses) describer.child("cross", cross);
    describer.child("mlp.up", up);
    describer.child("mlp.down", down);
    describer.child("mlp.norm", mlp_norm);
  }
  Reading self, cross;
  Linear up, down;
  LayerNorm mlp_norm;
  bool crosses;
};

class QFormer : public FusionOperator {
 public:
  QFormer(const FusionShapes& shapes, FusionConfig& config)
      : shapes_(shapes),
        images_(read_images(config)),
        level_(read_level(shapes, config)),
        place_(read_place(config, "front")),
        config_(read_config(config)),
        queries_({config_.queries, config_.width}, {Initial::Kind::normal, 0.02}),
        queries_norm_(config_.width, kEps),
        projector_(config_.width, shapes.llm_width) {
    for (int b = 0; b < config_.blocks; ++b)
      blocks_.push_back(std::make_unique<Block>(config_, shapes.tower_width, b % config_.cross_every == 0));
    parameters_ = count_elements(*this);
  }

  void describe(Describer& describer) override {
    describer.parameter("queries", queries_);
    describer.child("queries_norm", queries_norm_);
    for (size_t b = 0; b < blocks_.size(); ++b) describer.child(concat("blocks.", b), *blocks_[b]);
    describer.child("projector", projector_);
  }
  TowerNeeds tower() const override { return {.levels = {level_}, .adapters = true, .images = images_}; }

  ImageState encode(const TowerLevels& tower) const override {
    if (tower.images == 0) return {};
    const Variable patches = patches_of(tower, level_, true);
    const Device device = patches.device();
    const Tensor among = spans_of(tower.images, config_.queries, config_.queries, device),
                 across = spans_of(tower.images, config_.queries, tower.patches, device);
    std::vector<int32_t> repeat;
    for (int64_t i = 0; i < tower.images * config_.queries; ++i)
      repeat.push_back(int32_t(i % config_.queries));
    Variable x = gather_rows(queries_norm_(queries_), tensor_of(repeat, device));
    for (const auto& block : blocks_) {
      x = block->self(x, x, among);
      if (block->crosses) x = block->cross(x, patches, across);
      x = block->mlp_norm(x, block->down(activate(block->up(x), Activation::gelu))).normed;
    }
    return {.values = {projector_(x)}};
  }
  std::optional<InputTokens> insert(const TextBatch& text) const override {
    return insert_tokens(text, images_ * config_.queries, place_);
  }
  Variable tokens(const ImageState& state) const override { return encoded_tokens(state); }

  CostReport cost() const override {
    const auto q = double(config_.queries), w = double(config_.width), n = double(shapes_.patches);
    const double crossing = (config_.blocks + config_.cross_every - 1) / config_.cross_every;
    const double self = 8 * q * w * w + 4 * q * q * w, mlp = 4 * q * w * double(config_.hidden);
    const double cross = 4 * q * w * w + 4 * n * double(shapes_.tower_width) * w + 4 * q * n * w;
    return {.live = parameters_,
            .published = parameters_,
            .flops_per_image =
                config_.blocks * (self + mlp) + crossing * cross + 2 * q * w * double(shapes_.llm_width),
            .tokens_per_image = config_.queries};
  }
  Neutral neutral() const override { return never_neutral(); }

 private:
  FusionShapes shapes_;
  int64_t images_;
  int level_;
  Place place_;
  QFormerConfig config_;
  Parameter queries_;
  LayerNorm queries_norm_;
  std::vector<std::unique_ptr<Block>> blocks_;
  Linear projector_;
  int64_t parameters_;
};

const Provide<Fusion> qformer{
    "qformer", [](const FusionShapes& shapes, FusionConfig& config) -> std::unique_ptr<FusionOperator> {
      return std::make_unique<QFormer>(shapes, config);
    }};

}  // namespace
}  // namespace dehvf
