// LLaMA (1, 2, 3; Vicuna): RMSNorm, RoPE, grouped-query causal attention, SwiGLU; packed samples of any
// length. The fusion operator's hooks are called here, and nowhere else.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "autograd/ops/eager_attention.h"
#include "autograd/segment.h"
#include "core/ops/rope.h"
#include "layers/tuned_linear.h"
#include "models/llama_config.h"
#include "models/llama_tuning.h"
#include "models/text_plan.h"

namespace dehvf {

/// Keys and values of the tokens so far, for decoding: rows of sample s begin at s * capacity.
struct KvCache {
  KvCache(const LlamaConfig& config, int64_t samples, int64_t capacity, DType dtype, Device device);
  int64_t capacity;
  std::vector<int64_t> lengths;      // tokens held, per sample
  std::vector<Tensor> keys, values;  // per layer [samples * capacity, kv heads, head dim]
  std::vector<Tensor> memory;        // per layer, of the fusion operator
};

/// Looks at one block's visual rows: u (the FFN's normed input), the FFN's output and what the rows add to
/// it.
using RowProbe = std::function<void(int layer, const Tensor& u, const VisualRows& rows, const Tensor& ffn,
                                    const Tensor& added)>;

/// What a forward pass is asked for beside the text.
struct ForwardOptions {
  bool training = false;
  uint64_t seed = 0, step = 0;  // of dropout
  Tensor step_state;            // a StepState whose step stands for `step`; may be empty
  SegmentMode mode = SegmentMode::keep;
  KvCache* cache = nullptr;                 // appended to; the plan then holds the new tokens only
  std::vector<Variable>* hidden = nullptr;  // receives the output of every block
  RowProbe probe;                           // is shown every block's visual rows; may be empty
};

/// A fused image, as the language model's blocks see it: the operator and what it computed of the batch's
/// images.
struct Vision {
  const FusionOperator* fusion = nullptr;
  ImageState state;
  std::vector<Variable> parameters;  // the operator's trainable ones: inputs of every block's segment
};
Vision with_fusion(FusionOperator& fusion, ImageState state);

class Llama : public Module {
 public:
  explicit Llama(const LlamaConfig& config);
  void describe(Describer& describer) override;  // names of Hugging Face folders; not what tune() adds
  /// Makes room for what is to be trained; once, before there are values. Throws ConfigError.
  void tune(const LlamaTuning& tuning);
  /// Eager where all rows of a pass ask and no earlier ones are in a cache; fused elsewhere.
  void attend_as(AttentionForm form) { attention_ = form; }
  const LlamaTuning& tuning() const { return tuning_; }
  /// What is trained by tune(): weights under their own names, and what was added as
  /// model.layers.{l}.self_attn.q_proj.{lora_A.weight, lora_B.weight, bias, scale}, ...
  void describe_tuned(Describer& describer);
  const LlamaConfig& config() const { return config_; }
  void move_to(Device device);  // weights and tables
  Device device() const { return embedding_.variable().device(); }
  DType dtype() const { return embedding_.variable().dtype(); }

  Variable embed(const Tensor& tokens) const;  // i32 [tokens], on any device -> [tokens, width]
  /// A plan on the host or the model's device, the embeddings of its tokens -> the last block's output
  /// through the final norm, [tokens or rows, width]. The operator (and a cache) must outlive a backward
  /// pass, the rest is kept.
  Variable forward(const TextPlan& plan, const Variable& embeddings, const Vision& vision,
                   const ForwardOptions& options) const;
  Variable logits(const Variable& hidden) const;                         // [rows, vocab]
  Variable losses(const Variable& hidden, const Tensor& targets) const;  // cross entropy, f32 [rows]

 private:
  struct Block : Module {
    explicit Block(const LlamaConfig& config);
    void describe(Describer& describer) override;  // the weights
    std::vector<Variable> trainable();             // of these and of what was added to the maps
    struct NamedMap {
      const char *target, *path;
      TunedLinear* map;
    };
    std::vector<NamedMap> maps();
    Parameter input_norm;
    TunedLinear q, k, v, o;
    Parameter post_norm;
    TunedLinear gate, up, down;
  };
  struct Selection {
    Tensor spans;   // queries against keys
    Tensor q_rows;  // rows of the residual stream that go on; empty for all
    std::shared_ptr<const EagerAttention> eager = {};  // instead of the fused one
  };

  AttentionOptions causal() const;
  void describe_tuned_weights(Describer& describer);
  Variable run_block(const Variable& x, const ImageState& state, const FusionOperator* fusion,
                     const BlockContext& context, const Selection& selection,
                     const ForwardOptions& options) const;
  Variable attend(const Block& block, const Variable& normed, const ImageState& state,
                  const FusionOperator* fusion, const BlockContext& context, const Selection& selection,
                  const ForwardOptions& options) const;
  /// x + what the block makes of the normed u.
  Variable feed_forward(const Block& block, const Variable& x, const Variable& u, const ImageState& state,
                        const FusionOperator* fusion, const BlockContext& context,
                        const ForwardOptions& options) const;

  LlamaConfig config_;
  LlamaTuning tuning_;
  AttentionForm attention_ = AttentionForm::fused;
  RopeTable rope_;
  Parameter embedding_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<std::string> block_names_;  // of the tape's segments
  Parameter norm_, head_;
};

}  // namespace dehvf
