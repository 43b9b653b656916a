// Differentiable rotary position embedding: see core/ops/rope.h.
#pragma once

#include <utility>

#include "autograd/tape.h"
#include "core/ops/rope.h"

namespace dehvf {

Variable rope(const Variable& x, const Tensor& positions, const RopeTable& table);
/// Queries and keys at the same positions, turned at once both ways.
std::pair<Variable, Variable> rope(const Variable& q, const Variable& k, const Tensor& positions,
                                   const RopeTable& table);

}  // namespace dehvf
