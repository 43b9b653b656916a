// Every intermediate of one forward pass, and the gradients behind it: for holding this implementation
// against others.
#pragma once

#include "models/fused_model.h"
#include "models/safetensors.h"

namespace dehvf {

struct DumpInput {
  std::vector<std::vector<int32_t>> tokens, labels;  // of each sample; labels aligned, kIgnored where none
  std::vector<int32_t> image_of;                     // of each sample: a row of pixels, or -1
  Tensor pixels;                                     // [images, 3, side, side], normalised; empty: no image
};

/// The tensors of docs/formats.md, "dump". No dropout; the last block runs on every row. With `gradients` the
/// adapter has to be trainable or absent, and a label has to be given. Throws ConfigError for tokens, labels
/// and images that the model cannot take.
NamedTensors dump(FusedModel& model, const DumpInput& input, bool gradients);

}  // namespace dehvf
