#include "models/clip_vit.h"

#include <algorithm>

#include "autograd/ops/attention.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/patchify.h"
#include "autograd/ops/rows.h"

namespace dehvf {
namespace {

constexpr Initial kNormal{Initial::Kind::normal, 0.02};

// Every image attends to itself.
Tensor image_spans(int64_t images, int64_t tokens, Device device) {
  std::vector<int32_t> spans;
  for (int64_t i = 0; i < images; ++i) {
    const auto begin = int32_t(i * tokens), count = int32_t(tokens);
    spans.insert(spans.end(), {begin, count, begin, count});
  }
  return tensor_of(spans, device).reshape({images, 4});
}

}  // namespace

ClipVit::Block::Block(const ClipConfig& c)
    : norm1(c.width, c.norm_eps),
      norm2(c.width, c.norm_eps),
      q(c.width, c.width),
      k(c.width, c.width),
      v(c.width, c.width),
      out(c.width, c.width),
      fc1(c.width, c.mlp),
      fc2(c.mlp, c.width) {}

void ClipVit::Block::describe(Describer& describer) {
  describer.child("layer_norm1", norm1);
  describer.child("self_attn.q_proj", q);
  describer.child("self_attn.k_proj", k);
  describer.child("self_attn.v_proj", v);
  describer.child("self_attn.out_proj", out);
  describer.child("layer_norm2", norm2);
  describer.child("mlp.fc1", fc1);
  describer.child("mlp.fc2", fc2);
}

ClipVit::ClipVit(const ClipConfig& config)
    : config_(config),
      class_token_({config.width}, kNormal),
      patch_({config.width, 3 * config.patch * config.patch}, kNormal),
      positions_({1 + config.patches(), config.width}, kNormal),
      pre_norm_(config.width, config.norm_eps),
      post_norm_(config.width, config.norm_eps) {
  require<ConfigError>(config.image % config.patch == 0, "tower: image size ", config.image,
                       " does not divide into patches of ", config.patch);
  require<ConfigError>(config.width % config.heads == 0, "tower: width ", config.width,
                       " does not divide into ", config.heads, " heads");
  for (int i = 0; i < config.layers; ++i) {
    blocks_.push_back(std::make_unique<Block>(config));
    block_names_.push_back(concat("vit_block ", i));
  }
}

void ClipVit::describe(Describer& describer) {
  describer.parameter("vision_model.embeddings.class_embedding", class_token_);
  describer.parameter("vision_model.embeddings.patch_embedding.weight",
                      patch_);  // [width, 3, patch, patch] in files
  describer.parameter("vision_model.embeddings.position_embedding.weight", positions_);
  describer.child("vision_model.pre_layrnorm", pre_norm_);
  for (size_t i = 0; i < blocks_.size(); ++i)
    describer.child(concat("vision_model.encoder.layers.", i), *blocks_[i]);
  describer.child("vision_model.post_layernorm", post_norm_);
}

Variable ClipVit::embed(const Variable& pixels) const {
  const int64_t images = pixels.shape()[0], patches = config_.patches(), tokens = 1 + patches,
                width = config_.width;
  require(pixels.shape() == Shape({images, 3, config_.image, config_.image}), "tower: pixels are ",
          pixels.shape(), ", wanted [images, 3, ", config_.image, ", ", config_.image, "]");
  const Variable patched = linear(patchify(pixels, config_.patch), patch_);  // [images * patches, width]
  const Variable parts[] = {reshape(class_token_, {1, width}), patched};
  std::vector<int32_t> source, position;
  for (int64_t i = 0; i < images; ++i)
    for (int64_t t = 0; t < tokens; ++t) {
      source.push_back(t == 0 ? 0 : int32_t(1 + i * patches + t - 1));
      position.push_back(int32_t(t));
    }
  const Device device = patched.device();
  const Variable sequence = gather_rows(concat_rows(parts), tensor_of(source, device));
  return reshape(add(sequence, gather_rows(positions_, tensor_of(position, device))),
                 {images, tokens, width});
}

Variable ClipVit::run_block(const Block& block, const Variable& x, const Tensor& spans,
                            const TowerAdapters* adapters, int layer, const TowerDropout& dropout) const {
  const int64_t rows = x.shape().rows(), dim = config_.width / config_.heads;
  const auto heads = [&](const Variable& y) { return reshape(y, {rows, config_.heads, dim}); };
  Variable u = block.norm1(x);
  if (adapters) u = adapters->before_attention(u, layer, dropout);
  const Variable attended = attention(
      heads(block.q(u)), heads(block.k(u)), heads(block.v(u)), spans,
      {.causal = false, .scale = 1 / std::sqrt(double(dim)), .own_keys = true, .longest = x.shape()[1]});
  const auto [h, w] = block.norm2(x, block.out(reshape(attended, x.shape())));
  const Variable out = block.fc2(block.fc1(w, config_.activation), {}, h);
  return adapters ? adapters->beside_mlp(w, out, layer, dropout) : out;
}

TowerLevels ClipVit::operator()(const Variable& pixels, std::span<const int> levels,
                                const TowerAdapters* adapters, const TowerDropout& host_dropout,
                                SegmentMode mode) const {
  TowerLevels result{.post_norm_weight = post_norm_.weight,
                     .post_norm_bias = post_norm_.bias,
                     .post_norm_eps = post_norm_.eps(),
                     .class_token = true,
                     .images = pixels.shape()[0],
                     .patches = config_.patches(),
                     .width = config_.width};
  const int deepest = levels.empty() ? 0 : std::ranges::max(levels);
  require(deepest <= config_.layers, "tower: level ", deepest, " was asked for, it has ", config_.layers,
          " blocks");
  if (result.images == 0 || deepest == 0) return result;
  // Blocks are segments; what is trainable in the tower (its weights while it is pre-trained, adapters)
  // enters them all.
  std::vector<Variable> parameters = trainable_variables(const_cast<ClipVit&>(*this));
  if (adapters) {
    const auto more = trainable_variables(const_cast<TowerAdapters&>(*adapters));
    parameters.insert(parameters.end(), more.begin(), more.end());
  }
  const Device device = class_token_.variable().device();
  const Variable here = pixels.device() == device ? pixels : Variable(pixels.value().to(device));
  Variable x = pre_norm_(embed(cast(here, class_token_.variable().dtype())));
  const Tensor spans = image_spans(result.images, 1 + result.patches, device);
  TowerDropout dropout = host_dropout;
  if (dropout.sample_ids.defined()) dropout.sample_ids = dropout.sample_ids.to(device);
  for (int layer = 0; layer < deepest; ++layer) {
    std::vector<Variable> inputs{x};
    inputs.insert(inputs.end(), parameters.begin(), parameters.end());
    x = segment(
        block_names_[size_t(layer)], {},
        [this, spans, adapters, layer, dropout](std::span<const Variable> in) {
          return run_block(*blocks_[size_t(layer)], in[0], spans, adapters, layer, dropout);
        },
        std::move(inputs), mode);
    if (std::ranges::find(levels, layer + 1) != levels.end()) result.after_block[layer + 1] = x;
  }
  return result;
}

}  // namespace dehvf
