// Small trainable adapters inside a frozen tower, beside every block's MLP (method.md 2.1): one of the
// training axes.
#pragma once

#include <memory>
#include <vector>

#include "layers/linear.h"

namespace dehvf {

struct TowerAdapterConfig {
  int64_t rank = 12;
  double scale = 0.1, dropout = 0.1;
};

/// Dropout of one pass through the tower: off without sample ids.
struct TowerDropout {
  uint64_t seed = 0, step = 0;
  Tensor sample_ids;  // i64 [images]
  Tensor step_state;  // whose step stands for `step`; may be empty
};

/// scale * up(dropout(gelu(down u))) for every block, no biases, up zero at the start.
class TowerAdapters : public Module {
 public:
  TowerAdapters(int layers, int64_t width, const TowerAdapterConfig& config);
  void describe(Describer& describer) override;  // layers.{i}.adapter.{down,up}.weight
  /// u [images, tokens, width] of block `layer` (0-based) -> what is added to the block's output.
  Variable operator()(const Variable& u, int layer, const TowerDropout& dropout) const;
  /// Parameters up to `deepest` blocks, and of all blocks: those after the last level used never get a
  /// gradient.
  int64_t live(int deepest) const { return 2 * config_.rank * width_ * deepest; }
  int64_t all() const { return live(int(adapters_.size())); }

 private:
  struct Adapter {
    Linear down, up;
  };
  int64_t width_;
  TowerAdapterConfig config_;
  std::vector<std::unique_ptr<Adapter>> adapters_;
};

}  // namespace dehvf
