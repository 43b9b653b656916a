// Differentiable rotary position embedding: see core/ops/rope.h.
#pragma once

#include "autograd/tape.h"
#include "core/ops/rope.h"

namespace dehvf {

Variable rope(const Variable& x, const Tensor& positions, const RopeTable& table);

}  // namespace dehvf
