// Small trainable adapters inside a frozen tower, beside every block's MLP (MemVP's) or before its attention
// (LaVIN's): one of the training axes.
#pragma once

#include <memory>
#include <vector>

#include "layers/linear.h"
#include "layers/routed_adapter.h"

namespace dehvf {

enum class TowerAdapterForm : uint8_t { beside_mlp, before_attention };
std::string_view name_of(TowerAdapterForm form);
TowerAdapterForm tower_adapter_form(const std::string& name);  // throws ConfigError

struct TowerAdapterConfig {
  TowerAdapterForm form = TowerAdapterForm::beside_mlp;
  int64_t rank = 12;
  double scale = 0.1, dropout = 0.1;
  double temperature = 10;  // of the router before the attention
};

/// Dropout of one pass through the tower: off without sample ids.
struct TowerDropout {
  uint64_t seed = 0, step = 0;
  Tensor sample_ids;  // i64 [images]
  Tensor step_state;  // whose step stands for `step`; may be empty
};

/// One for every block. Beside the MLP: scale * up(dropout(gelu(down u))), no biases, up zero at the start.
/// Before the attention: u + scale * a RoutedAdapter in two groups; every token decides for itself.
class TowerAdapters : public Module {
 public:
  TowerAdapters(int layers, int64_t width, const TowerAdapterConfig& config);  // throws ConfigError
  void describe(Describer& describer) override;                                // layers.{i}.adapter.*
  /// u [images, tokens, width], the normed input of the attention of block `layer` (0-based) -> what it gets.
  Variable before_attention(const Variable& u, int layer, const TowerDropout& dropout) const;
  /// Its MLP's normed input and the block's output -> the output with what the adapter adds.
  Variable beside_mlp(const Variable& u, const Variable& out, int layer, const TowerDropout& dropout) const;
  /// Parameters up to `deepest` blocks, and of all blocks: those after the last level used never get a
  /// gradient.
  int64_t live(int deepest) const;
  int64_t all() const { return live(int(beside_.size() + before_.size())); }

 private:
  struct Adapter {
    Linear down, up;
  };
  Variable drop(const Variable& low, int layer, const TowerDropout& dropout) const;

  int64_t width_;
  TowerAdapterConfig config_;
  std::vector<std::unique_ptr<Adapter>> beside_;  // one of both is empty
  std::vector<std::unique_ptr<RoutedAdapter>> before_;
};

}  // namespace dehvf
