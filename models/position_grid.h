// The position embeddings of a tower for pictures of another size than those of its files.
#pragma once

#include "core/tensor.h"
#include "models/vision_config.h"

namespace dehvf {

/// `stored` f64, of stored_grid() x stored_grid() patches and the class token's row before them, if there is
/// one -> [config.tokens(), width] f64. Bicubic as transformers does it for the family: pixel centres,
/// without a wider filter when shrinking (a = -0.75); with registers a widened one (a = -0.5).
Tensor resample_positions(const Tensor& stored, const VisionConfig& config);

}  // namespace dehvf
