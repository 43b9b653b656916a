// What MemVP and DEHVF share: learned slots beside every FFN, and the projector that turns patches into image
// rows. method.md 2.5 and 3; the rows themselves are contracts.md 4 (autograd/ops/visual_rows.h).
#pragma once

#include "layers/fusion/operator.h"
#include "layers/linear.h"

namespace dehvf {

struct VisualMemoryConfig {
  int64_t images, slots, rank;
  double lambda, scale, dropout;
  bool materialised;

  /// Keys images, slots, rank, lambda, scale, dropout, rows. Fewer slots than patches of a sample's images
  /// are refused.
  static VisualMemoryConfig read(const FusionShapes& shapes, FusionConfig& config);
};

class VisualMemory : public Module {
 public:
  VisualMemory(const FusionShapes& shapes, const VisualMemoryConfig& config);
  void describe(Describer& describer) override;

  /// Normed levels [..., tower width] to the rank, without the bias: mixing comes before it.
  Variable down(const Variable& levels) const { return linear(levels, projector_down_.weight); }
  /// z = SiLU(mixed + bias), from [..., images, patches, rank]: the patches of a sample's p images one behind
  /// the other, [..., images / p, p * patches, rank].
  Variable activate_mixed(const Variable& mixed) const;
  /// The rows of one layer from z of the key and value side.
  VisualRows rows(const Variable& key_z, const Variable& value_z, const BlockContext& context) const;
  double flops_per_token() const;  // of the factored rows, one layer
  const VisualMemoryConfig& config() const { return config_; }

 private:
  VisualMemoryConfig config_;
  int64_t width_, patches_;
  Parameter slot_keys_, slot_values_;
  Linear projector_down_, projector_up_;
};

/// The levels as [levels, images, tokens, width] in the order of `which`, post-normed or raw.
Variable stack_levels(const TowerLevels& tower, std::span<const int> which, bool post_norm);

/// Rows of a [levels, images, tokens] stack seen in the order [images, levels, patches]; the class token left
/// out.
Tensor patch_index(const TowerLevels& tower, int64_t levels, Device device);

}  // namespace dehvf
