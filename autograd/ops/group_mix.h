// Differentiable mixing of groups of visual levels.
#pragma once

#include "autograd/tape.h"

namespace dehvf {

/// weights [images, queries, group], levels [images, level_count, patches, rank], first_level i32 [queries]
/// -> [queries, images, patches, rank], as core/ops/group_mix.h.
Variable group_mix(const Variable& weights, const Variable& levels, const Tensor& first_level);

}  // namespace dehvf
