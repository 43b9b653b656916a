#include "models/fused_model.h"

#include <algorithm>

#include "core/ops/elementwise.h"
#include "core/phase.h"

namespace dehvf {

namespace {

// What is trained of a language model, as a module.
struct Tuned : Module {
  explicit Tuned(Llama& llama) : llama(llama) {}
  void describe(Describer& describer) override { llama.describe_tuned(describer); }
  Llama& llama;
};

}  // namespace

FusionShapes fusion_shapes(const LlamaConfig& llama, const VisionConfig& tower) {
  return {.llm_width = llama.width,
          .llm_layers = llama.layers,
          .llm_heads = llama.heads,
          .llm_kv_heads = llama.kv_heads,
          .llm_head_dim = llama.head_dim,
          .tower_width = tower.width,
          .tower_layers = tower.layers,
          .patches = tower.patches(),
          .class_token = tower.class_token()};
}

FusedModel::FusedModel(const LlamaConfig& llama, const VisionConfig& tower, FusedModelOptions options)
    : options_(std::move(options)),
      llama_(llama),
      tower_(tower),
      fusion_(make_fusion(options_.fusion, fusion_shapes(llama, tower), options_.config)) {
  if (options_.tower_adapters && fusion_->tower().adapters)
    adapters_ = std::make_unique<TowerAdapters>(tower.layers, tower.width, options_.adapters);
  llama_.tune(options_.tuning);
  llama_.attend_as(options_.attention);
  tower_.attend_as(options_.attention);
}

void FusedModel::describe(Describer& describer) {
  fusion_->describe(describer);
  if (adapters_) describer.child("tower", *adapters_);
  Tuned tuned(llama_);
  describer.child("llama", tuned);
}

void FusedModel::move_to(Device device) {
  {
    const PurposeScope scope(Purpose::weights);
    llama_.move_to(device);
    dehvf::move_to(tower_, device);
  }
  const PurposeScope scope(Purpose::parameters);
  for (const auto& [path, parameter] : parameters_of(*this))
    if (parameter->defined() && !parameter->trainable())
      parameter->set_frozen(cast(parameter->value(), llama_.dtype()), path);
  dehvf::move_to(*this, device);
}

TowerLevels FusedModel::look(const Tensor& pixels, const TowerDropout& dropout) const {
  const Phase phase("tower");
  return tower_(pixels, fusion_->tower().levels, adapters_.get(), dropout);
}

Vision FusedModel::see(const TowerLevels& levels) const {
  const Phase phase("encode");
  require(levels.images % images() == 0, "fusion: ", levels.images, " images for samples of ", images());
  return with_fusion(*fusion_, fusion_->encode(levels));
}

TextPlan FusedModel::plan(const TextBatch& text, const Tensor& rows) const {
  TextPlan plan = plan_text(text, rows, fusion_.get());
  if (!plan.source.defined()) return plan;
  const int64_t context = llama_.config().context,
                last = std::ranges::max(plan.batch.positions.span<int32_t>());
  require<ConfigError>(last < context, "a text of ", last + 1,
                       " tokens, visual ones included; the model's context is ", context);
  return plan;
}

Variable FusedModel::hidden(const TextPlan& plan, const Vision& vision, const ForwardOptions& options) const {
  return llama_.forward(plan, llama_.embed(plan.tokens), vision, options);
}

Variable FusedModel::losses(const TextPlan& plan, const Tensor& targets, const Vision& vision,
                            const ForwardOptions& options) const {
  return llama_.losses(hidden(plan, vision, options), targets);
}

CostReport FusedModel::cost() {
  CostReport cost = fusion_->cost();
  Tuned tuned(llama_);
  cost.live += count_elements(tuned);
  cost.published += count_elements(tuned);
  if (!adapters_) return cost;
  const auto levels = fusion_->tower().levels;
  cost.live += adapters_->live(levels.empty() ? 0 : std::ranges::max(levels));
  cost.published += adapters_->all();
  return cost;
}

}  // namespace dehvf
