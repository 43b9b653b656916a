#include "models/fused_model.h"

#include <algorithm>

#include "core/ops/elementwise.h"

namespace dehvf {

FusionShapes fusion_shapes(const LlamaConfig& llama, const ClipConfig& tower) {
  return {.llm_width = llama.width,
          .llm_layers = llama.layers,
          .tower_width = tower.width,
          .tower_layers = tower.layers,
          .patches = tower.patches(),
          .class_token = true};
}

FusedModel::FusedModel(const LlamaConfig& llama, const ClipConfig& tower, FusedModelOptions options)
    : options_(std::move(options)),
      llama_(llama),
      tower_(tower),
      fusion_(make_fusion(options_.fusion, fusion_shapes(llama, tower), options_.config)) {
  if (options_.tower_adapters && fusion_->tower().adapters)
    adapters_ = std::make_unique<TowerAdapters>(tower.layers, tower.width, options_.adapters);
}

void FusedModel::describe(Describer& describer) {
  fusion_->describe(describer);
  if (adapters_) describer.child("tower", *adapters_);
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
  return tower_(pixels, fusion_->tower().levels, adapters_.get(), dropout);
}

Vision FusedModel::see(const TowerLevels& levels) const {
  return with_fusion(*fusion_, fusion_->encode(levels));
}

Variable FusedModel::hidden_at(const TextBatch& batch, const Tensor& rows, const Vision& vision,
                               ForwardOptions options) const {
  const Variable embeddings = llama_.embed(batch.tokens);
  options.rows = rows;
  const auto inserted = vision.fusion->tokens(vision.state, embeddings, batch);
  if (!inserted) return llama_.forward(batch, embeddings, vision, options);
  std::vector<int32_t> moved;
  for (int32_t row : rows.span<int32_t>()) moved.push_back(inserted->text_rows.data<int32_t>()[row]);
  options.rows = tensor_of(moved);
  return llama_.forward(inserted->batch, inserted->embeddings, vision, options);
}

Variable FusedModel::losses(const TextBatch& batch, const Supervised& supervised, const Vision& vision,
                            const ForwardOptions& options) const {
  return llama_.losses(hidden_at(batch, supervised.rows, vision, options), supervised.targets);
}

CostReport FusedModel::cost() const {
  CostReport cost = fusion_->cost();
  if (!adapters_) return cost;
  const auto levels = fusion_->tower().levels;
  cost.live += adapters_->live(levels.empty() ? 0 : std::ranges::max(levels));
  cost.published += adapters_->all();
  return cost;
}

}  // namespace dehvf
