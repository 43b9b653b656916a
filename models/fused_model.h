// A frozen language model, a frozen tower, and what is trained between them: a fusion operator and, if asked
// for, adapters inside the tower and parts of the language model.
#pragma once

#include <memory>
#include <string>

#include "layers/fusion/operator.h"
#include "layers/tower_adapter.h"
#include "models/llama.h"
#include "models/vision_tower.h"

namespace dehvf {

FusionShapes fusion_shapes(const LlamaConfig& llama, const VisionConfig& tower);

struct FusedModelOptions {
  std::string fusion = "none";
  FusionConfig config;
  bool tower_adapters = false;
  TowerAdapterConfig adapters;
  LlamaTuning tuning;                              // of the language model
  AttentionForm attention = AttentionForm::fused;  // of both models' blocks
};

/// As a Module it is the adapter: what is trained, counted, saved. The frozen models are parts of their own.
class FusedModel : public Module {
 public:
  /// Allocates nothing; llama and tower are given their weights by initialise() or load_parameters().
  FusedModel(const LlamaConfig& llama, const VisionConfig& tower, FusedModelOptions options);
  void describe(Describer& describer) override;

  Llama& llama() { return llama_; }
  const Llama& llama() const { return llama_; }
  VisionTower& tower() { return tower_; }
  const VisionTower& tower() const { return tower_; }
  FusionOperator& fusion() { return *fusion_; }
  const FusionOperator& fusion() const { return *fusion_; }
  int64_t images() const { return fusion_->tower().images; }  // that a sample has, or none
  TowerAdapters* adapters() { return adapters_.get(); }
  /// Whether recorded work may serve again for texts of other lengths: what is planned on the host may not.
  bool replays() const { return fusion_->replays() && options_.attention == AttentionForm::fused; }
  const FusedModelOptions& options() const { return options_; }

  /// Moves everything that has a value and turns what is frozen of the adapter into the language model's
  /// dtype. Comes before training, whose parameters stay where they are.
  void move_to(Device device);
  Device device() const { return llama_.device(); }

  /// The levels the operator needs, from pixels [images, 3, side, side]; cacheable where there are no tower
  /// adapters.
  TowerLevels look(const Tensor& pixels, const TowerDropout& dropout = {}) const;
  /// What the blocks get to see of the images; the levels may be empty (no image in the batch). Where a
  /// sample has several, they come one behind the other.
  Vision see(const TowerLevels& levels) const;

  /// As plan_text() makes it for this operator. Throws ConfigError where visual tokens make a text longer
  /// than the language model's context.
  TextPlan plan(const TextBatch& text, const Tensor& rows = {}) const;
  /// Hidden states after the final norm, [rows of the plan, width].
  Variable hidden(const TextPlan& plan, const Vision& vision, const ForwardOptions& options) const;
  /// Cross entropy at the rows of the plan, f32 [rows]; 0 where the target is kNoTarget.
  Variable losses(const TextPlan& plan, const Tensor& targets, const Vision& vision,
                  const ForwardOptions& options) const;

  CostReport cost();  // of all that is trained

 private:
  FusedModelOptions options_;
  Llama llama_;
  VisionTower tower_;
  std::unique_ptr<FusionOperator> fusion_;
  std::unique_ptr<TowerAdapters> adapters_;
};

}  // namespace dehvf
