// How visual features enter the frozen language model. An operator is a Module with these hooks; the default
// of each does nothing, so an operator writes only what it uses. One file and one Provide line make one (see
// none.cpp).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "autograd/ops/visual_rows.h"
#include "core/registry.h"
#include "layers/batch.h"
#include "layers/module.h"

namespace dehvf {

/// What an operator wants of the tower: "after block i", i = 1..depth, in ascending order.
struct TowerNeeds {
  std::vector<int> levels;
  bool adapters = false;  // trainable adapters inside the tower's blocks
  int64_t images = 1;     // that a sample has, or none: see read_images()
};

/// Raw outputs of the tower's blocks, [images, 1 + patches, width] with the class token first (no class
/// token: [images, patches, width]), and the frozen post-norm that an operator may apply to them.
struct TowerLevels {
  std::map<int, Variable> after_block;
  Variable post_norm_weight, post_norm_bias;
  double post_norm_eps = 1e-5;
  bool class_token = true;
  int64_t images = 0, patches = 0, width = 0;
};

/// Whatever encode() computes once per image batch; kept during decoding. Only its operator reads it. Where
/// samples have p images, those of TowerLevels come p by p, and TextBatch::image_of counts the samples'.
struct ImageState {
  std::vector<Variable> values;  // that every layer may read
  std::vector<std::vector<Variable>>
      of_layer;            // those that only one layer reads; empty, or one entry a layer
  Variable fuser_weights;  // [images, llm layers, positions, levels] of operators that have them: for reports
};

/// The sequence with visual tokens put in, on the host. Inserted tokens are never labelled.
struct InputTokens {
  TextBatch batch;
  Tensor source;     // i32 [batch.count()]: a row of the text's embeddings or, counted on, of tokens()
  Tensor text_rows;  // i32 [text tokens]: where each of them went
};

/// Rows in front of every text that are only looked at: the block's own maps make keys and values of them,
/// without positions; they have a softmax of their own, added to the attention's output through a gate per
/// head.
struct Prefix {
  Variable rows;  // [prefix rows, llm width]
  Variable gate;  // [heads]
  Tensor spans;   // i32 [samples, 4]: rows of context.rows and prefix rows of each sample
};

/// The frozen matrices of one block's FFN, down(silu(gate u) * up u), each [out, in].
struct FfnWeights {
  Variable gate, up, down;
};

/// What surrounds a block when an operator's hooks are called.
struct BlockContext {
  TextBatch batch;  // the tokens that enter the block, on its device
  TextBatch rows;   // those that its FFN runs on: the same, or in the last block the supervised ones
  int layer = 0;    // 0-based
  bool training = false;
  uint64_t seed = 0, step = 0;  // of dropout
  Tensor step_state;            // a StepState whose step stands for `step`; may be empty
  // While decoding, what the operator keeps for this layer: empty at the prompts, then what they left.
  Tensor* memory = nullptr;
};

/// The shapes that an operator's sizes follow from.
struct FusionShapes {
  int64_t llm_width = 0;
  int llm_layers = 0, llm_heads = 0, llm_kv_heads = 0;
  int64_t llm_head_dim = 0;
  int64_t tower_width = 0;
  int tower_layers = 0;
  int64_t patches = 0;
  bool class_token = true;
};

struct CostReport {
  int64_t live = 0;                                 // parameters that receive a gradient
  int64_t published = 0;                            // as the paper's authors count them, dead ones included
  double flops_per_image = 0, flops_per_token = 0;  // forward, all layers; of the operator alone
  int64_t tokens_per_image = 0;  // put into the sequence: each costs what a text token does
  // The same, in every forward pass, whatever is in its batch.
  double flops_once = 0;
  int64_t tokens_once = 0;
};

/// A parameter setting under which the model equals text-only, or the reason why there is none.
struct Neutral {
  std::map<std::string, double> settings;  // parameter path -> value of all its elements
  std::string reason;                      // why there is none; empty when `settings` is it
};

/// Operator options as text, from a config file or the command line. Every key must be used, or the
/// operator's name and the nearest known key are reported.
class FusionConfig {
 public:
  FusionConfig() = default;
  explicit FusionConfig(std::map<std::string, std::string> values) : values_(std::move(values)) {}
  int64_t integer(const std::string& key, int64_t fallback, int64_t low, int64_t high);
  double number(const std::string& key, double fallback);
  bool flag(const std::string& key, bool fallback);
  std::string choice(const std::string& key, const std::string& fallback,
                     std::span<const std::string> allowed);
  /// Decides a choice for an operator that another one is made of: it is no key of the configuration then.
  void fix(const std::string& key, const std::string& value) { fixed_[key] = value; }
  void finish(std::string_view operator_name) const;  // throws ConfigError when a key was never asked for
  const std::map<std::string, std::string>& resolved() const {
    return resolved_;
  }  // every key asked for, with its value

 private:
  std::optional<std::string> take(const std::string& key);
  std::map<std::string, std::string> values_, resolved_, fixed_;
};

/// Key `images`: how many images a sample has, 1 unless told. An operator that does not ask for it takes one.
int64_t read_images(FusionConfig& config);

class FusionOperator : public Module {
 public:
  void describe(Describer&) override {}
  virtual TowerNeeds tower() const { return {}; }
  virtual ImageState encode(const TowerLevels&) const { return {}; }
  virtual std::optional<InputTokens> insert(const TextBatch&) const { return std::nullopt; }
  virtual Variable tokens(const ImageState&) const { return {}; }  // [rows, width], where insert() puts them
  virtual Variable before_attention(const Variable& x, const ImageState&, const BlockContext&) const {
    return x;
  }
  virtual std::optional<Prefix> attention_prefix(const ImageState&, const BlockContext&) const {
    return std::nullopt;
  }
  virtual std::optional<VisualRows> ffn_rows(const ImageState&, const BlockContext&) const {
    return std::nullopt;
  }
  virtual Variable beside_ffn(const Variable&, const ImageState&, const BlockContext&) const { return {}; }
  virtual Variable instead_of_ffn(const Variable&, const FfnWeights&, const ImageState&,
                                  const BlockContext&) const {
    return {};
  }
  /// The hooks but insert() decide by shapes only, so that a recorded micro-batch may be replayed.
  virtual bool replays() const { return true; }
  /// How it fitted itself to the models, where that is not what its keys say: for the user.
  virtual std::vector<std::string> notes() const { return {}; }
  virtual CostReport cost() const { return {}; }
  virtual Neutral neutral() const { return {}; }
};

/// The registry of operators: Provide<Fusion> my_idea{"my_idea", make}.
struct Fusion {
  using Key = std::string;
  using Entry = std::unique_ptr<FusionOperator> (*)(const FusionShapes&, FusionConfig&);
  static constexpr std::string_view name = "fusion operator";
};

std::unique_ptr<FusionOperator> make_fusion(const std::string& name, const FusionShapes& shapes,
                                            FusionConfig& config);

}  // namespace dehvf
