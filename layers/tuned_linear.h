// A frozen linear map and what may be trained beside it: a low-rank addition to its weight (LoRA), a bias and
// a scale of its outputs (LLaMA-Adapter V2). One of the training axes.
#pragma once

#include <optional>

#include "autograd/ops/linear.h"
#include "core/ops/dropout.h"
#include "layers/batch.h"
#include "layers/module.h"

namespace dehvf {

/// Dropout of what LoRA reads, in one pass over some rows: off without offsets. Its rate is each map's own.
struct LoraDropout {
  Tensor sample_offsets;  // i32 [samples + 1]
  DropoutSpec spec;       // `layer` is the block's number
};

/// y = scale (x (weight + factor lora_B lora_A)^T + bias) + residual, of which all but the weight may be
/// missing.
class TunedLinear : public Module {
 public:
  TunedLinear(int64_t in, int64_t out, Initial initial) : weight({out, in}, initial) {}

  /// LoRA begins as zero, lora_A as wide as PEFT's. `slot` is another for every map of a block:
  /// part of the key of its dropout.
  void add_lora(int64_t rank, double factor, double dropout, int slot);
  void add_bias() { bias_.emplace(Shape{weight.shape()[0]}, Initial{}); }
  void add_scale() { scale_.emplace(Shape{weight.shape()[0]}, Initial{Initial::Kind::ones}); }
  bool bare() const { return !lora_ && !bias_ && !scale_; }

  void describe(Describer& describer) override;  // of what was added; the weight is its model's to describe
  Variable operator()(const Variable& x, const LoraDropout& dropout, const Variable& residual = {}) const;
  /// x through several maps, their weights all in one product.
  friend std::vector<Variable> linears(const Variable& x, std::initializer_list<const TunedLinear*> maps,
                                       const LoraDropout& dropout);

  Parameter weight;

 private:
  struct Lora {
    Parameter a, b;  // [rank, in], [out, rank]
    double factor, dropout;
    int slot;
  };
  bool drops(const LoraDropout& dropout) const;
  Variable finish(Variable y, const Variable& x, const LoraDropout& dropout) const;

  std::optional<Lora> lora_;
  std::optional<Parameter> bias_, scale_;
};

std::vector<Variable> linears(const Variable& x, std::initializer_list<const TunedLinear*> maps,
                              const LoraDropout& dropout);
/// silu(gate(x)) up(x), by one product where neither map has anything beside its weight.
Variable swiglu(const Variable& x, const TunedLinear& gate, const TunedLinear& up,
                const LoraDropout& dropout);

}  // namespace dehvf
