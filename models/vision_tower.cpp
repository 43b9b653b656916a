#include "models/vision_tower.h"

#include <algorithm>

#include "autograd/ops/attention.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/patchify.h"
#include "autograd/ops/rows.h"

namespace dehvf {
namespace {

constexpr Initial kNormal{Initial::Kind::normal, 0.02};

constexpr TowerNames kClipNames{.class_token = "vision_model.embeddings.class_embedding",
                                .registers = "",
                                .patch = "vision_model.embeddings.patch_embedding",
                                .positions = "vision_model.embeddings.position_embedding.weight",
                                .pre_norm = "vision_model.pre_layrnorm",  // so it is in the files
                                .blocks = "vision_model.encoder.layers.",
                                .post_norm = "vision_model.post_layernorm",
                                .norm1 = "layer_norm1",
                                .q = "self_attn.q_proj",
                                .k = "self_attn.k_proj",
                                .v = "self_attn.v_proj",
                                .out = "self_attn.out_proj",
                                .scale1 = "",
                                .norm2 = "layer_norm2",
                                .fc1 = "mlp.fc1",
                                .fc2 = "mlp.fc2",
                                .scale2 = ""};
constexpr TowerNames kDinoNames{.class_token = "embeddings.cls_token",
                                .registers = "embeddings.register_tokens",
                                .patch = "embeddings.patch_embeddings.projection",
                                .positions = "embeddings.position_embeddings",
                                .pre_norm = "",
                                .blocks = "encoder.layer.",
                                .post_norm = "layernorm",
                                .norm1 = "norm1",
                                .q = "attention.attention.query",
                                .k = "attention.attention.key",
                                .v = "attention.attention.value",
                                .out = "attention.output.dense",
                                .scale1 = "layer_scale1.lambda1",
                                .norm2 = "norm2",
                                .fc1 = "mlp.fc1",
                                .fc2 = "mlp.fc2",
                                .scale2 = "layer_scale2.lambda1"};

// Every image attends to itself.
Tensor image_spans(int64_t images, int64_t tokens, Device device) {
  std::vector<int32_t> spans;
  for (int64_t i = 0; i < images; ++i) {
    const auto begin = int32_t(i * tokens), count = int32_t(tokens);
    spans.insert(spans.end(), {begin, count, begin, count});
  }
  return tensor_of(spans, device).reshape({images, 4});
}

// The upper left corner of square pictures, [images, 3, edge, edge].
Variable corner(const Variable& pixels, int64_t edge) {
  const int64_t planes = pixels.shape()[0] * 3, side = pixels.shape()[2];
  if (side == edge) return pixels;
  const Variable narrow = slice_columns(reshape(pixels, {planes * side, side}), 0, edge);
  const Variable low = slice_columns(reshape(narrow, {planes, side * edge}), 0, edge * edge);
  return reshape(low, {pixels.shape()[0], 3, edge, edge});
}

}  // namespace

const TowerNames& tower_names(VisionFamily family) {
  return family == VisionFamily::dinov2 ? kDinoNames : kClipNames;
}

VisionTower::Block::Block(const VisionConfig& c)
    : names(tower_names(c.family)),
      scaled(c.family == VisionFamily::dinov2),
      norm1(c.width, c.norm_eps),
      norm2(c.width, c.norm_eps),
      q(c.width, c.width),
      k(c.width, c.width),
      v(c.width, c.width),
      out(c.width, c.width),
      fc1(c.width, c.mlp),
      fc2(c.mlp, c.width),
      scale1({c.width}, {Initial::Kind::ones}),
      scale2({c.width}, {Initial::Kind::ones}) {}

void VisionTower::Block::describe(Describer& describer) {
  describer.child(names.norm1, norm1);
  describer.child(names.q, q);
  describer.child(names.k, k);
  describer.child(names.v, v);
  describer.child(names.out, out);
  if (scaled) describer.parameter(names.scale1, scale1);
  describer.child(names.norm2, norm2);
  describer.child(names.fc1, fc1);
  describer.child(names.fc2, fc2);
  if (scaled) describer.parameter(names.scale2, scale2);
}

VisionTower::VisionTower(const VisionConfig& config)
    : config_(config),
      class_token_({config.width}, kNormal),
      registers_({config.registers, config.width}, kNormal),
      patch_(3 * config.patch * config.patch, config.width,
             config.family == VisionFamily::clip ? Bias::none : Bias::zeros, kNormal),
      positions_({config.tokens(), config.width}, kNormal),
      pre_norm_(config.width, config.norm_eps),
      post_norm_(config.width, config.norm_eps) {
  require<ConfigError>(config.grid() > 0, "tower: pictures of ", config.image, " pixels hold no patch of ",
                       config.patch);
  require<ConfigError>(config.width % config.heads == 0, "tower: width ", config.width,
                       " does not divide into ", config.heads, " heads");
  for (int i = 0; i < config.layers; ++i) {
    blocks_.push_back(std::make_unique<Block>(config));
    block_names_.push_back(concat("vit_block ", i));
  }
}

void VisionTower::describe(Describer& describer) {
  const TowerNames& names = tower_names(config_.family);
  if (config_.class_token()) describer.parameter(names.class_token, class_token_);
  if (config_.registers > 0) describer.parameter(names.registers, registers_);
  describer.child(names.patch, patch_);  // its weight is [width, 3, patch, patch] in files
  describer.parameter(names.positions, positions_);
  if (config_.family == VisionFamily::clip) describer.child(names.pre_norm, pre_norm_);
  for (size_t i = 0; i < blocks_.size(); ++i) describer.child(concat(names.blocks, i), *blocks_[i]);
  describer.child(names.post_norm, post_norm_);
}

Variable VisionTower::embed(const Variable& pixels) const {
  const int64_t images = pixels.shape()[0], patches = config_.patches(), width = config_.width,
                first = config_.class_token(), registers = config_.registers;
  require(pixels.shape() == Shape({images, 3, config_.image, config_.image}), "tower: pixels are ",
          pixels.shape(), ", wanted [images, 3, ", config_.image, ", ", config_.image, "]");
  const Variable seen = corner(pixels, config_.grid() * config_.patch);
  std::vector<Variable> parts;  // rows in this order: class token, registers, all images' patches
  if (first > 0) parts.push_back(reshape(class_token_, {1, width}));
  if (registers > 0) parts.emplace_back(registers_);
  parts.push_back(patch_(patchify(seen, config_.patch)));  // [images * patches, width]
  std::vector<int32_t> source, position;
  for (int64_t i = 0; i < images; ++i) {
    for (int64_t t = 0; t < first + registers; ++t) source.push_back(int32_t(t));
    for (int64_t t = 0; t < patches; ++t) source.push_back(int32_t(first + registers + i * patches + t));
    for (int64_t t = 0; t < sequence(); ++t)
      position.push_back(int32_t(t < first               ? t
                                 : t < first + registers ? config_.tokens()  // none: a row of zeros
                                                         : t - registers));
  }
  const Device device = parts.back().device();
  const Variable rows = gather_rows(concat_rows(parts), tensor_of(source, device));
  Variable positions = positions_;
  if (registers > 0) {
    const Variable with_zeros[] = {positions, Variable(zeros({1, width}, positions.dtype(), device))};
    positions = concat_rows(with_zeros);
  }
  return reshape(add(rows, gather_rows(positions, tensor_of(position, device))), {images, sequence(), width});
}

VisionTower::Attend VisionTower::attention_of(int64_t images, DType dtype, Device device) const {
  const AttentionOptions options{.causal = false,
                                 .scale = 1 / std::sqrt(double(config_.width / config_.heads)),
                                 .own_keys = true,
                                 .longest = sequence()};
  if (attention_ == AttentionForm::eager)
    return EagerAttention(std::vector<int64_t>(size_t(images), sequence()), config_.heads, config_.heads,
                          options, dtype, device);
  return [options, spans = image_spans(images, sequence(), device)](const Variable& q, const Variable& k,
                                                                    const Variable& v) {
    return attention(q, k, v, spans, options);
  };
}

Variable VisionTower::run_block(const Block& block, const Variable& x, const Attend& attend,
                                const TowerAdapters* adapters, int layer, const TowerDropout& dropout) const {
  const int64_t rows = x.shape().rows(), dim = config_.width / config_.heads;
  const auto heads = [&](const Variable& y) { return reshape(y, {rows, config_.heads, dim}); };
  const auto scaled = [&](const Variable& y, const Parameter& factors) {
    return block.scaled ? multiply_row(y, factors) : y;
  };
  const auto [stream, normed] = block.norm1(x, {});
  const Variable u = adapters ? adapters->before_attention(normed, layer, dropout) : normed;
  const auto qkv = linears(u, {block.q.map(), block.k.map(), block.v.map()});
  const Variable attended = attend(heads(qkv[0]), heads(qkv[1]), heads(qkv[2]));
  const auto [h, w] = block.norm2(stream, scaled(block.out(reshape(attended, x.shape())), block.scale1));
  const Variable inside = block.fc1(w, config_.activation);
  const Variable out =
      block.scaled ? add(h, scaled(block.fc2(inside), block.scale2)) : block.fc2(inside, {}, h);
  return adapters ? adapters->beside_mlp(w, out, layer, dropout) : out;
}

Variable VisionTower::without_registers(const Variable& x) const {
  if (config_.registers == 0) return x;
  const int64_t images = x.shape()[0], first = config_.class_token();
  std::vector<int32_t> kept;
  for (int64_t i = 0; i < images; ++i)
    for (int64_t t = 0; t < sequence(); ++t)
      if (t < first || t >= first + config_.registers) kept.push_back(int32_t(i * sequence() + t));
  const Variable rows = reshape(x, {images * sequence(), config_.width});
  return reshape(gather_rows(rows, tensor_of(kept, x.device())), {images, config_.tokens(), config_.width});
}

TowerLevels VisionTower::operator()(const Variable& pixels, std::span<const int> levels,
                                    const TowerAdapters* adapters, const TowerDropout& host_dropout,
                                    SegmentMode mode) const {
  TowerLevels result{.post_norm_weight = post_norm_.weight,
                     .post_norm_bias = post_norm_.bias,
                     .post_norm_eps = post_norm_.eps(),
                     .class_token = config_.class_token(),
                     .images = pixels.shape()[0],
                     .patches = config_.patches(),
                     .width = config_.width};
  const int deepest = levels.empty() ? 0 : std::ranges::max(levels);
  require(deepest <= config_.layers, "tower: level ", deepest, " was asked for, it has ", config_.layers,
          " blocks");
  if (result.images == 0 || deepest == 0) return result;
  // Blocks are segments; what is trainable in the tower (its weights while it is pre-trained, adapters)
  // enters them all.
  std::vector<Variable> parameters = trainable_variables(const_cast<VisionTower&>(*this));
  if (adapters) {
    const auto more = trainable_variables(const_cast<TowerAdapters&>(*adapters));
    parameters.insert(parameters.end(), more.begin(), more.end());
  }
  const Variable& patch = patch_.weight;
  const Device device = patch.device();
  const Variable here = pixels.device() == device ? pixels : Variable(pixels.value().to(device));
  Variable x = embed(cast(here, patch.dtype()));
  if (config_.family == VisionFamily::clip) x = pre_norm_(x);
  const Attend attend = attention_of(result.images, x.dtype(), device);
  TowerDropout dropout = host_dropout;
  if (dropout.sample_ids.defined()) dropout.sample_ids = dropout.sample_ids.to(device);
  for (int layer = 0; layer < deepest; ++layer) {
    std::vector<Variable> inputs{x};
    inputs.insert(inputs.end(), parameters.begin(), parameters.end());
    x = segment(
        block_names_[size_t(layer)], {},
        [this, attend, adapters, layer, dropout](std::span<const Variable> in) {
          return run_block(*blocks_[size_t(layer)], in[0], attend, adapters, layer, dropout);
        },
        std::move(inputs), mode);
    if (std::ranges::find(levels, layer + 1) != levels.end())
      result.after_block[layer + 1] = without_registers(x);
  }
  return result;
}

}  // namespace dehvf
