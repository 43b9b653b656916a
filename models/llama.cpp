#include "models/llama.h"

#include <algorithm>
#include <tuple>

#include "autograd/ops/attention.h"
#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/norm.h"
#include "autograd/ops/rope.h"
#include "autograd/ops/rows.h"
#include "core/phase.h"
#include "core/plan.h"

namespace dehvf {
namespace {

constexpr Initial kNormal{Initial::Kind::normal, 0.02}, kOnes{Initial::Kind::ones};

// Puts the new keys or values behind those that each sample holds already.
void append(const Tensor& fresh, const Tensor& cached, const KvCache& cache, const TextBatch& batch) {
  int64_t from = 0;
  for (int64_t s = 0; s < batch.samples(); ++s) {
    const int64_t count = batch.lengths[size_t(s)], at = s * cache.capacity + cache.lengths[size_t(s)];
    copy_into(fresh.slice(from, from + count), cached.slice(at, at + count));
    from += count;
  }
}

Tensor cache_spans(const KvCache& cache, const TextBatch& batch) {
  std::vector<int32_t> spans;
  int64_t from = 0;
  for (int64_t s = 0; s < batch.samples(); ++s) {
    const int64_t count = batch.lengths[size_t(s)], held = cache.lengths[size_t(s)] + count;
    require(held <= cache.capacity, "decode: sample ", s, " has ", held, " tokens, the cache holds ",
            cache.capacity);
    spans.insert(spans.end(), {int32_t(from), int32_t(count), int32_t(s * cache.capacity), int32_t(held)});
    from += count;
  }
  return tensor_of(spans).reshape({batch.samples(), 4});
}

// Of the maps that run on the tokens of `batch`.
LoraDropout dropout_of(const BlockContext& context, const TextBatch& batch) {
  if (!context.training) return {};
  return {.sample_offsets = batch.sample_offsets,
          .spec = {.seed = context.seed,
                   .step = context.step,
                   .layer = uint64_t(context.layer),
                   .sample_ids = batch.sample_ids,
                   .positions = batch.positions,
                   .step_state = context.step_state}};
}

}  // namespace

KvCache::KvCache(const LlamaConfig& config, int64_t samples, int64_t capacity, DType dtype, Device device)
    : capacity(capacity), lengths(size_t(samples), 0) {
  const PurposeScope scope(Purpose::caches);
  for (int l = 0; l < config.layers; ++l)
    for (auto* side : {&keys, &values})
      side->push_back(Tensor({samples * capacity, config.kv_heads, config.head_dim}, dtype, device));
  memory.resize(size_t(config.layers));
}

Vision with_fusion(FusionOperator& fusion, ImageState state) {
  return {.fusion = &fusion, .state = std::move(state), .parameters = trainable_variables(fusion)};
}

Llama::Block::Block(const LlamaConfig& c)
    : input_norm({c.width}, kOnes),
      q(c.width, c.heads * c.head_dim, kNormal),
      k(c.width, c.kv_heads * c.head_dim, kNormal),
      v(c.width, c.kv_heads * c.head_dim, kNormal),
      o(c.heads * c.head_dim, c.width, kNormal),
      post_norm({c.width}, kOnes),
      gate(c.width, c.ffn, kNormal),
      up(c.width, c.ffn, kNormal),
      down(c.ffn, c.width, kNormal) {}

std::vector<Llama::Block::NamedMap> Llama::Block::maps() {
  return {{"q", "self_attn.q_proj", &q},   {"k", "self_attn.k_proj", &k},    {"v", "self_attn.v_proj", &v},
          {"o", "self_attn.o_proj", &o},   {"gate", "mlp.gate_proj", &gate}, {"up", "mlp.up_proj", &up},
          {"down", "mlp.down_proj", &down}};
}

void Llama::Block::describe(Describer& describer) {
  describer.parameter("input_layernorm.weight", input_norm);
  describer.parameter("self_attn.q_proj.weight", q.weight);
  describer.parameter("self_attn.k_proj.weight", k.weight);
  describer.parameter("self_attn.v_proj.weight", v.weight);
  describer.parameter("self_attn.o_proj.weight", o.weight);
  describer.parameter("post_attention_layernorm.weight", post_norm);
  describer.parameter("mlp.gate_proj.weight", gate.weight);
  describer.parameter("mlp.up_proj.weight", up.weight);
  describer.parameter("mlp.down_proj.weight", down.weight);
}

std::vector<Variable> Llama::Block::trainable() {
  std::vector<Variable> all = trainable_variables(*this);
  for (const NamedMap& named : maps()) {
    const auto added = trainable_variables(*named.map);
    all.insert(all.end(), added.begin(), added.end());
  }
  return all;
}

Llama::Llama(const LlamaConfig& config)
    : config_(config),
      rope_(rope_table(config.rope, config.head_dim, config.context, DType::f64)),
      embedding_({config.vocab, config.width}, kNormal),
      norm_({config.width}, kOnes),
      head_({config.vocab, config.width}, kNormal) {
  for (int l = 0; l < config.layers; ++l) {
    blocks_.push_back(std::make_unique<Block>(config));
    block_names_.push_back(concat("llama_block ", l));
  }
}

void Llama::describe(Describer& describer) {
  describer.parameter("model.embed_tokens.weight", embedding_);
  for (size_t l = 0; l < blocks_.size(); ++l) describer.child(concat("model.layers.", l), *blocks_[l]);
  describer.parameter("model.norm.weight", norm_);
  if (!config_.tied) describer.parameter("lm_head.weight", head_);
}

void Llama::tune(const LlamaTuning& tuning) {
  tuning.check();
  tuning_ = tuning;
  for (const auto& block : blocks_) {
    int slot = 0;
    for (const auto& [target, path, map] : block->maps()) {
      if (tuning.lora.rank > 0 && tuning.lora.targets.has(target))
        map->add_lora(tuning.lora.rank, tuning.lora.factor(), tuning.lora.dropout, slot);
      if (tuning.tune.has("biases")) map->add_bias();
      if (tuning.tune.has("scales")) map->add_scale();
      ++slot;
    }
  }
  // What was added begins anew, weights go on from their values.
  struct : Describer {
    void visit(const std::string&, Parameter& parameter) override { parameter.begin_at_value(); }
  } weights;
  describe_tuned_weights(weights);
}

void Llama::describe_tuned_weights(Describer& describer) {
  if (tuning_.tune.full()) return describe(describer);
  if (!tuning_.tune.has("norms")) return;
  for (size_t l = 0; l < blocks_.size(); ++l) {
    describer.parameter(concat("model.layers.", l, ".input_layernorm.weight"), blocks_[l]->input_norm);
    describer.parameter(concat("model.layers.", l, ".post_attention_layernorm.weight"),
                        blocks_[l]->post_norm);
  }
  describer.parameter("model.norm.weight", norm_);
}

void Llama::describe_tuned(Describer& describer) {
  describe_tuned_weights(describer);
  for (size_t l = 0; l < blocks_.size(); ++l)
    for (const auto& named : blocks_[l]->maps())
      describer.child(concat("model.layers.", l, ".", named.path), *named.map);
}

void Llama::move_to(Device device) {
  dehvf::move_to(*this, device);
  // On the CPU the table may serve models in f64; elsewhere f32 holds all that a kernel computes with.
  rope_ = rope_table(config_.rope, config_.head_dim, config_.context,
                     as_on_cpu(device) ? DType::f64 : DType::f32, device);
}

Variable Llama::embed(const Tensor& tokens) const {
  const Phase phase("embed");
  return embedding(tokens.to(device()), embedding_);
}

Variable Llama::forward(const TextPlan& text, const Variable& embeddings, const Vision& vision,
                        const ForwardOptions& options) const {
  require(!text.rows.defined() || !options.cache,
          "forward: a cache is filled by all rows, not by chosen ones");
  const Device device = embeddings.device();
  const TextPlan plan = text.to(device);
  const TextBatch& all = plan.batch;
  const Tensor spans = options.cache ? cache_spans(*options.cache, all).to(device) : all.spans;
  Variable x = embeddings;
  if (plan.source.defined()) {
    const Variable parts[] = {embeddings, cast(vision.fusion->tokens(vision.state), x.dtype())};
    x = gather_rows(concat_rows(parts), plan.source);
  }
  std::shared_ptr<const EagerAttention> eager;
  const auto empty = [](const KvCache& cache) {
    return std::ranges::all_of(cache.lengths, [](int64_t length) { return length == 0; });
  };
  if (attention_ == AttentionForm::eager && (!options.cache || empty(*options.cache)))
    eager = std::make_shared<EagerAttention>(all.lengths, config_.heads, config_.kv_heads, causal(),
                                             x.dtype(), device);
  for (int l = 0; l < config_.layers; ++l) {
    const bool last = plan.rows.defined() && l + 1 == config_.layers;
    const BlockContext context{all,
                               last ? plan.chosen : all,
                               l,
                               options.training,
                               options.seed,
                               options.step,
                               options.step_state,
                               options.cache ? &options.cache->memory[size_t(l)] : nullptr};
    const Selection selection{last ? plan.chosen.spans : spans, last ? plan.rows : Tensor(),
                              last ? nullptr : eager};
    // Of what the images gave, a block takes what all layers share and what is this layer's alone.
    const auto layers_own =
        vision.state.of_layer.empty() ? std::vector<Variable>() : vision.state.of_layer[size_t(l)];
    const std::vector<Variable> trained = blocks_[size_t(l)]->trainable();
    std::vector<Variable> inputs{x};
    for (const auto& more : {vision.state.values, layers_own, vision.parameters, trained})
      inputs.insert(inputs.end(), more.begin(), more.end());
    // Nothing in front of a block without a wanted x is run back, so it keeps the little that the operator's
    // rows need instead of running forward again. What is trained inside the block needs more.
    const SegmentMode mode = x.wants_grad() || !trained.empty() ? options.mode : SegmentMode::keep;
    x = segment(
        block_names_[size_t(l)], {},
        [=, this, fusion = vision.fusion, shared = vision.state.values.size(),
         own = layers_own.size()](std::span<const Variable> in) {
          const auto values = in.subspan(1, shared), of_layer = in.subspan(1 + shared, own);
          ImageState state{.values = {values.begin(), values.end()}};
          if (own > 0) state.of_layer.resize(size_t(l) + 1, {of_layer.begin(), of_layer.end()});
          return run_block(in[0], state, fusion, context, selection, options);
        },
        std::move(inputs), mode);
    if (options.hidden) options.hidden->push_back(x);
  }
  if (options.cache)
    for (int64_t s = 0; s < all.samples(); ++s) options.cache->lengths[size_t(s)] += all.lengths[size_t(s)];
  const Phase phase("output");
  return rms_norm(x, norm_, config_.norm_eps);
}

AttentionOptions Llama::causal() const {
  return {.causal = true, .scale = 1 / std::sqrt(double(config_.head_dim))};
}

Variable Llama::run_block(const Variable& x, const ImageState& state, const FusionOperator* fusion,
                          const BlockContext& context, const Selection& selection,
                          const ForwardOptions& options) const {
  const Block& block = *blocks_[size_t(context.layer)];
  const auto [stream, normed] = add_rms_norm(x, {}, block.input_norm, config_.norm_eps);
  const Variable attended = attend(block, normed, state, fusion, context, selection, options);
  const Variable residual = selection.q_rows.defined() ? gather_rows(stream, selection.q_rows) : stream;
  const auto [h, u] = add_rms_norm(residual, attended, block.post_norm, config_.norm_eps);
  return feed_forward(block, h, u, state, fusion, context, options);
}

Variable Llama::attend(const Block& block, const Variable& normed, const ImageState& state,
                       const FusionOperator* fusion, const BlockContext& context, const Selection& selection,
                       const ForwardOptions& options) const {
  const auto heads = [&](const Variable& y, int count) {
    return reshape(y, {y.shape()[0], count, config_.head_dim});
  };
  const Variable u = fusion ? fusion->before_attention(normed, state, context) : normed;
  const LoraDropout dropout = dropout_of(context, context.rows),
                    dropout_of_all = dropout_of(context, context.batch);
  // With a cache the new tokens' positions continue those that are held.
  const Tensor& positions = context.batch.positions;
  Variable q, k, v;
  if (selection.q_rows.defined()) {
    const auto kv = linears(u, {&block.k, &block.v}, dropout_of_all);
    q = rope(heads(block.q(gather_rows(u, selection.q_rows), dropout), config_.heads), context.rows.positions,
             rope_);
    k = rope(heads(kv[0], config_.kv_heads), positions, rope_);
    v = kv[1];
  } else {
    const auto qkv = linears(u, {&block.q, &block.k, &block.v}, dropout_of_all);
    std::tie(q, k) = rope(heads(qkv[0], config_.heads), heads(qkv[1], config_.kv_heads), positions, rope_);
    v = qkv[2];
  }
  v = heads(v, config_.kv_heads);
  const Variable fresh_k = k, fresh_v = v;
  if (KvCache* cache = options.cache) {
    const size_t layer = size_t(context.layer);
    append(k.value(), cache->keys[layer], *cache, context.batch);
    append(v.value(), cache->values[layer], *cache, context.batch);
    k = Variable(cache->keys[layer]);
    v = Variable(cache->values[layer]);
  }
  Variable attended_values = selection.eager ? (*selection.eager)(q, fresh_k, fresh_v)
                                             : attention(q, k, v, selection.spans, causal());
  if (fusion) {
    if (const auto prefix = fusion->attention_prefix(state, context)) {
      const auto front = linears(cast(prefix->rows, u.dtype()), {&block.k, &block.v}, {});
      const Variable extra =
          attention(q, heads(front[0], config_.kv_heads), heads(front[1], config_.kv_heads), prefix->spans,
                    {.causal = false, .scale = causal().scale});
      const Variable gate = reshape(cast(prefix->gate, u.dtype()), {1, config_.heads});
      const Tensor every_row = zeros({extra.shape()[0]}, DType::i32, extra.device());
      attended_values = add(attended_values, multiply_column(extra, gather_rows(gate, every_row)));
    }
  }
  return block.o(
      reshape(attended_values, {attended_values.shape()[0], int64_t(config_.heads) * config_.head_dim}),
      dropout);
}

Variable Llama::feed_forward(const Block& block, const Variable& x, const Variable& u,
                             const ImageState& state, const FusionOperator* fusion,
                             const BlockContext& context, const ForwardOptions& options) const {
  if (fusion) {
    const FfnWeights weights{block.gate.weight, block.up.weight, block.down.weight};
    if (const Variable all = fusion->instead_of_ffn(u, weights, state, context); all.defined()) {
      require<ConfigError>(
          block.gate.bare() && block.up.bare() && block.down.bare(),
          "fusion: this operator multiplies the FFN's own matrices, so nothing can be trained "
          "beside them; leave gate, up and down out of lora.targets, biases and scales out of "
          "tune");
      return add(x, all);
    }
  }
  const LoraDropout dropout = dropout_of(context, context.rows);
  const Variable hidden = swiglu(u, block.gate, block.up, dropout);
  Variable residual = x;
  if (fusion) {
    if (const auto rows = fusion->ffn_rows(state, context)) {
      if (options.probe)
        options.probe(context.layer, u.value(), *rows, block.down(hidden, dropout).value(),
                      visual_rows(u, *rows).value());
      residual = visual_rows(u, *rows, residual);
    }
    if (const Variable beside = fusion->beside_ffn(u, state, context); beside.defined())
      residual = add(residual, beside);
  }
  return block.down(hidden, dropout, residual);
}

Variable Llama::logits(const Variable& hidden) const {
  return linear(hidden, config_.tied ? embedding_ : head_);
}

Variable Llama::losses(const Variable& hidden, const Tensor& targets) const {
  const Phase phase("output");
  return cross_entropy(hidden, config_.tied ? embedding_ : head_, targets.to(hidden.device()));
}

}  // namespace dehvf
