// A vision transformer of one of the families of VisionConfig: patches, perhaps a class token and registers,
// pre-norm blocks; levels named "after block i", i = 1..depth.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "autograd/ops/eager_attention.h"
#include "autograd/segment.h"
#include "layers/fusion/operator.h"
#include "layers/linear.h"
#include "layers/tower_adapter.h"
#include "models/vision_config.h"

namespace dehvf {

/// What Hugging Face's folders of a family call the parts of a tower.
struct TowerNames {
  std::string_view class_token, registers, patch, positions, pre_norm, blocks, post_norm;
  std::string_view norm1, q, k, v, out, scale1, norm2, fc1, fc2, scale2;  // of a block
};
const TowerNames& tower_names(VisionFamily family);

class VisionTower : public Module {
 public:
  explicit VisionTower(const VisionConfig& config);
  void describe(Describer& describer) override;  // in the names of its family
  const VisionConfig& config() const { return config_; }

  void attend_as(AttentionForm form) { attention_ = form; }

  /// pixels [images, 3, image, image], already normalised, of any float dtype and device -> the levels asked
  /// for, without registers; blocks above the deepest one do not run. `adapters` may be null.
  TowerLevels operator()(const Variable& pixels, std::span<const int> levels, const TowerAdapters* adapters,
                         const TowerDropout& dropout = {}, SegmentMode mode = SegmentMode::keep) const;

 private:
  struct Block : Module {
    explicit Block(const VisionConfig& config);
    void describe(Describer& describer) override;
    const TowerNames& names;
    bool scaled;  // only DINOv2's blocks have scales
    LayerNorm norm1, norm2;
    Linear q, k, v, out, fc1, fc2;
    Parameter scale1, scale2;
  };
  int64_t sequence() const { return config_.tokens() + config_.registers; }
  Variable embed(const Variable& pixels) const;  // [images, sequence, width]
  using Attend = std::function<Variable(const Variable& q, const Variable& k, const Variable& v)>;
  Attend attention_of(int64_t images, DType dtype, Device device) const;
  Variable run_block(const Block& block, const Variable& x, const Attend& attend,
                     const TowerAdapters* adapters, int layer, const TowerDropout& dropout) const;
  Variable without_registers(const Variable& x) const;

  VisionConfig config_;
  AttentionForm attention_ = AttentionForm::fused;
  Parameter class_token_, registers_;
  Linear patch_;
  Parameter positions_;
  LayerNorm pre_norm_, post_norm_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<std::string> block_names_;  // of the tape's segments
};

}  // namespace dehvf
