// What operators share that read the tower's class tokens: which levels, their tokens, and the small
// projector into the language model.
#pragma once

#include "layers/fusion/operator.h"
#include "layers/linear.h"

namespace dehvf {

/// up(silu(down x)), named down and up, with biases.
class Projector : public Module {
 public:
  Projector(int64_t in, int64_t rank, int64_t out) : down(in, rank), up(rank, out) {}
  void describe(Describer& describer) override {
    describer.child("down", down);
    describer.child("up", up);
  }
  Variable operator()(const Variable& x) const { return up(down(x, Activation::silu)); }
  int64_t weights() const { return down.weight.shape().count() + up.weight.shape().count(); }

  Linear down, up;
};

/// `count` levels at equal distances, the last block's among them; throws ConfigError where the depth does
/// not divide by their number.
std::vector<int> spread_levels(const FusionShapes& shapes, int64_t count);

/// The class tokens of some levels, [images * levels, tower width], all of an image one after the other.
Variable class_tokens_of(const TowerLevels& tower, std::span<const int> levels, bool post_norm);

/// Throws ConfigError for a tower without class tokens.
void require_class_token(const FusionShapes& shapes, std::string_view operator_name);

}  // namespace dehvf
