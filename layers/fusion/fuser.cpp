#include "layers/fusion/fuser.h"

#include "autograd/ops/attention.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/fuser.h"
#include "autograd/ops/rows.h"
#include "autograd/ops/softmax.h"

namespace dehvf {
namespace {

constexpr double kEps = 1e-5;

// One span per image and run of layers that read the same group: their queries attend to that group's levels.
Tensor make_spans(const FuserConfig& config, int64_t images, std::span<const int> group_for, Device device) {
  const int per_group = config.levels / config.groups, queries = config.layers * config.positions;
  std::vector<int32_t> spans;
  for (int64_t image = 0; image < images; ++image)
    for (int first = 0, last = 0; first < config.layers; first = last) {
      while (last < config.layers && group_for[size_t(last)] == group_for[size_t(first)]) ++last;
      spans.insert(spans.end(),
                   {int32_t(image * queries + first * config.positions), (last - first) * config.positions,
                    int32_t(image * config.levels + group_for[size_t(first)] * per_group), per_group});
    }
  return tensor_of(spans, device).reshape({int64_t(spans.size()) / 4, 4});
}

FuserPlan make_plan(const FuserConfig& config, std::span<const int> group_for) {
  FuserPlan plan{.positions = config.positions, .heads = config.heads, .first_level = {}, .eps = kEps};
  for (int group : group_for) plan.first_level.push_back(group * (config.levels / config.groups));
  return plan;
}

std::vector<Tensor> values_of(std::span<const Variable> variables) {
  std::vector<Tensor> values;
  for (const Variable& variable : variables) values.push_back(variable.value());
  return values;
}

}  // namespace

Fuser::Block::Block(const FuserConfig& c)
    : q(c.width, c.width),
      k(c.width, c.width),
      v(c.width, c.width),
      o(c.width, c.width),
      attention_norm(c.width, kEps),
      up(c.width, c.width),
      down(c.width, c.width),
      mlp_norm(c.width, kEps) {}

void Fuser::Block::describe(Describer& describer) {
  describer.child("attention.q", q);
  describer.child("attention.k", k);
  describer.child("attention.v", v);
  describer.child("attention.o", o);
  describer.child("attention_norm", attention_norm);
  describer.child("mlp.up", up);
  describer.child("mlp.down", down);
  describer.child("mlp_norm", mlp_norm);
}

Fuser::Network::Network(const FuserConfig& c)
    : head_dim(c.width / c.heads),
      query(c.embedding, c.width),
      keys(c.tower_width, c.width),
      // Zero: the weights begin uniform.
      weights(c.width, c.levels / c.groups, Bias::zeros, {Initial::Kind::zeros}) {
  for (int b = 0; b < c.blocks; ++b) blocks.push_back(std::make_unique<Block>(c));
}

void Fuser::Network::describe(Describer& describer) {
  describer.child("query", query);
  describer.child("keys", keys);
  for (size_t b = 0; b < blocks.size(); ++b) describer.child(concat("blocks.", b), *blocks[b]);
  describer.child("weights", weights);
}

Variable Fuser::Network::operator()(Variable q, const Variable& levels, const Tensor& spans) const {
  const AttentionOptions options{.causal = false, .scale = 1 / std::sqrt(double(head_dim))};
  for (const auto& block : blocks) {
    const auto by_head = [&](const Variable& x) {
      return reshape(x, {x.shape()[0], x.shape()[1] / head_dim, head_dim});
    };
    const Variable attended =
        attention(by_head(block->q(q)), by_head(block->k(levels)), by_head(block->v(levels)), spans, options);
    q = block->attention_norm(add(q, block->o(reshape(attended, q.shape()))));
    q = block->mlp_norm(add(q, block->down(activate(block->up(q), Activation::relu))));
  }
  return weights(q);
}

Fuser::Fuser(const FuserConfig& c)
    : config_(c),
      layer_embedding_({c.layers, c.embedding}, {Initial::Kind::normal, 1}),
      position_embedding_({c.positions, c.embedding}, {Initial::Kind::normal, 1}),
      embed_hidden_(2 * c.embedding, c.hidden),
      embed_out_(c.hidden, c.embedding) {
  for (int i = 0; i < (c.per_group ? c.groups : 1); ++i) networks_.push_back(std::make_unique<Network>(c));
}

void Fuser::describe(Describer& describer) {
  describer.parameter("layer_embedding", layer_embedding_);
  describer.parameter("position_embedding", position_embedding_);
  describer.child("embed.hidden", embed_hidden_);
  describer.child("embed.out", embed_out_);
  for (size_t i = 0; i < networks_.size(); ++i)
    describer.child(config_.per_group ? concat("fuser.", i) : "fuser", *networks_[i]);
}

double Fuser::flops_once() const {
  const FuserConfig& c = config_;
  return 2.0 * double(c.layers * c.positions) * double(c.embedding * (3 * c.hidden + c.width));
}

double Fuser::flops_per_image() const {
  const FuserConfig& c = config_;
  const auto queries = double(c.layers * c.positions), levels = double(c.levels), width = double(c.width),
             group = levels / c.groups;
  const double of_queries = 4 * width * width + 2 * group * width,  // q, o, up, down; scores and their sum
      of_levels = 2 * width * width;                                // k, v
  return 2 * (c.blocks * (queries * of_queries + levels * of_levels) + queries * width * group +
              levels * double(c.tower_width) * width);
}

Variable Fuser::embedded() const {
  std::vector<int32_t> layer, position;
  for (int l = 0; l < config_.layers; ++l)
    for (int p = 0; p < config_.positions; ++p) layer.push_back(l), position.push_back(p);
  const Device device = layer_embedding_.variable().device();
  const Variable pairs[] = {gather_rows(layer_embedding_, tensor_of(layer, device)),
                            gather_rows(position_embedding_, tensor_of(position, device))};
  return embed_out_(activate(embed_hidden_(concat_columns(pairs)), Activation::relu));
}

std::vector<Variable> Fuser::behind_keys() const {
  std::vector<Variable> result{layer_embedding_, position_embedding_};
  const auto add = [&](const auto&... maps) { (result.insert(result.end(), {maps.weight, maps.bias}), ...); };
  const Network& network = *networks_[0];
  add(embed_hidden_, embed_out_, network.query);
  for (const auto& block : network.blocks)
    add(block->q, block->k, block->v, block->o, block->attention_norm, block->up, block->down,
        block->mlp_norm);
  add(network.weights);
  return result;
}

Variable Fuser::operator()(const Variable& class_tokens, std::span<const int> group_for) const {
  if (config_.per_group) return by_group(class_tokens, group_for);
  const Variable keys = networks_[0]->keys(class_tokens);
  const std::vector<Variable> parameters = behind_keys();
  const FuserPlan plan = make_plan(config_, group_for);
  const bool in_one = fuser_fits(keys.value(), values_of(parameters), plan);
  return in_one ? fuser(keys, parameters, plan) : shared(keys, group_for);
}

Variable Fuser::composed(const Variable& class_tokens, std::span<const int> group_for) const {
  return config_.per_group ? by_group(class_tokens, group_for)
                           : shared(networks_[0]->keys(class_tokens), group_for);
}

Variable Fuser::shared(const Variable& keys, std::span<const int> group_for) const {
  const int64_t images = keys.shape()[0], queries = int64_t(config_.layers) * config_.positions;
  std::vector<int32_t> repeat;
  for (int64_t i = 0; i < images * queries; ++i) repeat.push_back(int32_t(i % queries));
  const Network& network = *networks_[0];
  const Variable logits = network(gather_rows(network.query(embedded()), tensor_of(repeat, keys.device())),
                                  reshape(keys, {images * config_.levels, config_.width}),
                                  make_spans(config_, images, group_for, keys.device()));
  return softmax(reshape(logits, {images, queries, config_.levels / config_.groups}));
}

// Each network gets the queries of its group's layers for one image after the other; at the end they are put
// into the order of images and layers.
Variable Fuser::by_group(const Variable& class_tokens, std::span<const int> group_for) const {
  const int64_t images = class_tokens.shape()[0], queries = int64_t(config_.layers) * config_.positions,
                per_group = config_.levels / config_.groups;
  const Device device = class_tokens.device();
  const Variable embeddings = embedded();
  const Variable levels = reshape(class_tokens, {images * config_.levels, config_.tower_width});
  std::vector<int32_t> place(size_t(images * queries));
  std::vector<Variable> logits;
  int32_t placed = 0;
  for (int group = 0; group < config_.groups; ++group) {
    std::vector<int32_t> of_group, asked, looked_at, spans;
    for (int64_t q = 0; q < queries; ++q)
      if (group_for[size_t(q / config_.positions)] == group) of_group.push_back(int32_t(q));
    if (of_group.empty()) continue;
    for (int64_t image = 0; image < images; ++image) {
      spans.insert(spans.end(), {int32_t(asked.size()), int32_t(of_group.size()), int32_t(looked_at.size()),
                                 int32_t(per_group)});
      for (size_t i = 0; i < of_group.size(); ++i) {
        asked.push_back(int32_t(i));
        place[size_t(image * queries + of_group[i])] = placed++;
      }
      for (int64_t i = 0; i < per_group; ++i)
        looked_at.push_back(int32_t(image * config_.levels + group * per_group + i));
    }
    const Network& network = *networks_[size_t(group)];
    const Variable q = network.query(gather_rows(embeddings, tensor_of(of_group, device)));
    logits.push_back(network(gather_rows(q, tensor_of(asked, device)),
                             network.keys(gather_rows(levels, tensor_of(looked_at, device))),
                             tensor_of(spans, device).reshape({images, 4})));
  }
  return softmax(
      reshape(gather_rows(concat_rows(logits), tensor_of(place, device)), {images, queries, per_group}));
}

}  // namespace dehvf
