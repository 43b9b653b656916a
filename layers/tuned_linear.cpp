#include "layers/tuned_linear.h"

#include <cmath>

#include "autograd/ops/dropout.h"
#include "autograd/ops/elementwise.h"

namespace dehvf {

void TunedLinear::add_lora(int64_t rank, double factor, double dropout, int slot) {
  const int64_t out = weight.shape()[0], in = weight.shape()[1];
  const Initial spread{Initial::Kind::normal,
                       1 / std::sqrt(3.0 * double(in))};  // as uniform in +-1 / sqrt(in)
  lora_.emplace(Lora{Parameter({rank, in}, spread), Parameter({out, rank}, {}), factor, dropout, slot});
}

void TunedLinear::describe(Describer& describer) {
  if (lora_) {
    describer.parameter("lora_A.weight", lora_->a);
    describer.parameter("lora_B.weight", lora_->b);
  }
  if (bias_) describer.parameter("bias", *bias_);
  if (scale_) describer.parameter("scale", *scale_);
}

bool TunedLinear::drops(const LoraDropout& dropout) const {
  return lora_ && lora_->dropout > 0 && dropout.sample_offsets.defined();
}

Variable TunedLinear::finish(Variable y, const Variable& x, const LoraDropout& dropout_of) const {
  if (drops(dropout_of)) {
    DropoutSpec spec = dropout_of.spec;
    spec.rate = lora_->dropout;
    // Layers of the language model count from 0, of the tower from 1000: none of these is one of them.
    spec.layer = 2000 + 8 * spec.layer + uint64_t(lora_->slot);
    const Variable low = linear(dropout(x, dropout_of.sample_offsets, spec), lora_->a);
    y = add(y, scale(linear(low, lora_->b), lora_->factor));
  }
  if (bias_) y = add_row(y, *bias_);
  return scale_ ? multiply_row(y, *scale_) : y;
}

Variable TunedLinear::operator()(const Variable& x, const LoraDropout& dropout,
                                 const Variable& residual) const {
  if (bare()) return linear(x, weight, {.residual = residual});
  const Variable y = linears(x, {this}, dropout)[0];
  return residual.defined() ? add(residual, y) : y;
}

std::vector<Variable> linears(const Variable& x, std::initializer_list<const TunedLinear*> maps,
                              const LoraDropout& dropout) {
  std::vector<LinearMap> sums;
  for (const TunedLinear* map : maps) {
    sums.push_back({map->weight});
    if (const auto& lora = map->lora_; lora && !map->drops(dropout))
      sums.back().added = {lora->a, lora->b, lora->factor};
  }
  auto results = linears(x, sums);
  size_t i = 0;
  for (const TunedLinear* map : maps) {
    results[i] = map->finish(std::move(results[i]), x, dropout);
    ++i;
  }
  return results;
}

Variable swiglu(const Variable& x, const TunedLinear& gate, const TunedLinear& up,
                const LoraDropout& dropout) {
  if (gate.bare() && up.bare()) return swiglu(x, gate.weight, up.weight);
  const auto both = linears(x, {&gate, &up}, dropout);
  return swiglu(both[0], both[1]);
}

}  // namespace dehvf
