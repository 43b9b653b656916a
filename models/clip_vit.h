// The CLIP vision transformer: patches and a class token, pre-norm blocks, levels named "after block i", i
// = 1..depth.
#pragma once

#include <memory>
#include <vector>

#include "autograd/segment.h"
#include "layers/fusion/operator.h"
#include "layers/linear.h"
#include "layers/tower_adapter.h"
#include "models/clip_config.h"

namespace dehvf {

class ClipVit : public Module {
 public:
  explicit ClipVit(const ClipConfig& config);
  void describe(Describer& describer) override;  // names of Hugging Face folders, vision_model.*
  const ClipConfig& config() const { return config_; }

  /// pixels [images, 3, image, image], already normalised, of any float dtype and device -> the levels asked
  /// for; blocks above the deepest one do not run. `adapters` may be null.
  TowerLevels operator()(const Variable& pixels, std::span<const int> levels, const TowerAdapters* adapters,
                         const TowerDropout& dropout = {}, SegmentMode mode = SegmentMode::keep) const;

 private:
  struct Block : Module {
    explicit Block(const ClipConfig& config);
    void describe(Describer& describer) override;
    LayerNorm norm1, norm2;
    Linear q, k, v, out, fc1, fc2;
  };
  Variable embed(const Variable& pixels) const;  // [images, 1 + patches, width]
  Variable run_block(const Block& block, const Variable& x, const Tensor& spans,
                     const TowerAdapters* adapters, int layer, const TowerDropout& dropout) const;

  ClipConfig config_;
  Parameter class_token_, patch_, positions_;
  LayerNorm pre_norm_, post_norm_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<std::string> block_names_;  // of the tape's segments
};

}  // namespace dehvf
