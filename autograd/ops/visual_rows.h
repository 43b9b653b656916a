// The visual rows of a frozen FFN as one differentiable op. VisualRows is data: what a fusion operator hands
// to a block.
#pragma once

#include "autograd/tape.h"
#include "core/ops/visual_rows.h"

namespace dehvf {

/// Members as in VisualRowsTensors; image members are empty where no sample has an image, basis and bias for
/// materialised rows.
struct VisualRows {
  Variable slot_keys, slot_values, image_keys, image_values, basis, bias;
  VisualRowsPlan plan;
};

/// x [tokens, width], the normed input of the FFN -> [tokens, width], to be added to the FFN's output.
Variable visual_rows(const Variable& x, const VisualRows& rows, const Variable& residual = {});

}  // namespace dehvf
