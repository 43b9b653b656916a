// The least time a DEHVF training step can take on a machine: what has to be multiplied and moved, at the
// rates that the machine reaches.
#pragma once

#include <string>
#include <vector>

#include "models/fused_model.h"

namespace dehvf {

/// One step: packed samples of equal length with one image each; the last `supervised` positions of each are
/// labelled.
struct StepShape {
  LlamaConfig llama;
  ClipConfig tower;
  int64_t samples = 4, length = 512, supervised = 8;
};

/// What a fused model's adapter adds.
struct StepAdapter {
  int64_t slots = 0, rank = 0;
  CostReport cost;            // of the operator: FLOPs of one forward pass
  bool tower_trained = true;  // adapters in the tower: its blocks run back to the second one
};
StepAdapter step_adapter(FusedModel& model);  // of an operator with visual rows

struct MachineRates {
  double flops = 0, bytes = 0;  // a second: the fastest product of a large cube; a copy, read and written
};

enum class StepPass : uint8_t { forward, backward };
std::string_view name_of(StepPass pass);

struct FloorPart {
  std::string part;  // linears, attention, visual rows, lm head, vision, operator
  StepPass pass;
  double flops, seconds;
};

/// Every product takes the longer of 2 m n k / rate and (m k + n k + m n) bf16 values / copy rate:
///   linears      q|k|v merged, o, gate|up merged, down of every block on all tokens; backward as much for
///   the
///                inputs' gradients and nothing for the weights', which are frozen; none in block 0, in front
///                of which nothing is trained. The last block runs k|v on all tokens, the rest on supervised
///                ones.
///   attention    4 head_dim heads FLOPs for each pair of a query and a key it may see, backward 2.5 times
///                that, q, k, v and the result moved once (backward twice); none backward in block 0
///   visual rows  the operator's FLOPs a token, twice that backward (gradients of both sides), without its
///                quarter for the input in block 0; both sides, basis and image terms moved once, backward
///                the gradients too
///   operator     the operator's FLOPs an image; backward for its weights, and for the levels where the tower
///                has adapters
///   lm head      the products of supervised positions with the vocabulary, forward and input gradient
///   vision       q|k|v, o, two of the MLP and full attention of every block; backward as linears, to block 1
/// Elementwise work, norms, the optimizer, launches and data are left out: a step that fuses them perfectly
/// comes near this floor. The formulas are those of a roofline (Williams et al., CACM 2009) over contracts'
/// products; the backward factor 2.5 of attention is FlashAttention-2's (Dao 2023).
std::vector<FloorPart> step_floor(const StepShape& shape, const StepAdapter& adapter,
                                  const MachineRates& rates);

}  // namespace dehvf
