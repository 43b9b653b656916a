// The hierarchical visual fuser: which of a group's levels a layer listens to, from the levels' class tokens.
// method.md 2.3, 2.4 and 10.
#pragma once

#include <memory>
#include <vector>

#include "layers/fusion/operator.h"
#include "layers/linear.h"

namespace dehvf {

struct FuserConfig {
  int layers, positions;      // of the language model; places in the FFN (key side, value side)
  int groups, levels;         // K, and the tower's levels in all
  int64_t embedding, hidden;  // t, and the width inside the embedding network
  int64_t width;              // r
  int heads, blocks;
  int64_t tower_width;
  bool per_group = false;  // a network for each group, behind the one of the embeddings
};

/// The group of levels that a layer listens to: floor(layer * groups / layers).
inline int group_of(int layer, int layers, int groups) { return layer * groups / layers; }

class Fuser : public Module {
 public:
  explicit Fuser(const FuserConfig& config);
  void describe(Describer& describer) override;

  /// Class tokens [images, levels, tower width] -> weights [images, layers * positions, levels per group],
  /// each row a softmax over the group's levels. `group_for` gives the group that each layer reads.
  Variable operator()(const Variable& class_tokens, std::span<const int> group_for) const;
  /// The same by single ops, where a kernel would do it in one, too.
  Variable composed(const Variable& class_tokens, std::span<const int> group_for) const;

  // Forward: of the embeddings, whatever there is to look at, and of everything behind them.
  double flops_once() const;
  double flops_per_image() const;

 private:
  struct Block : Module {
    explicit Block(const FuserConfig& config);
    void describe(Describer& describer) override;
    Linear q, k, v, o;
    LayerNorm attention_norm;
    Linear up, down;
    LayerNorm mlp_norm;
  };
  // Queries and keys [.., r] -> logits [queries, levels per group]; `spans` say which queries look at which
  // keys.
  struct Network : Module {
    explicit Network(const FuserConfig& config);
    void describe(Describer& describer) override;
    Variable operator()(Variable q, const Variable& keys, const Tensor& spans) const;
    int64_t head_dim;
    Linear query, keys;
    std::vector<std::unique_ptr<Block>> blocks;
    Linear weights;
  };

  Variable shared(const Variable& keys, std::span<const int> group_for) const;
  Variable by_group(const Variable& class_tokens, std::span<const int> group_for) const;
  std::vector<Variable> behind_keys() const;  // the parameters as core/ops/fuser.h wants them
  Variable embedded() const;                  // [layers * positions, t]

  FuserConfig config_;
  Parameter layer_embedding_, position_embedding_;
  Linear embed_hidden_, embed_out_;
  std::vector<std::unique_ptr<Network>> networks_;  // one, or one a group
};

}  // namespace dehvf
