// Differentiable cross entropy behind a head: see core/ops/cross_entropy.h for shapes.
#pragma once

#include "autograd/tape.h"

namespace dehvf {

Variable cross_entropy(const Variable& hidden, const Variable& head, const Tensor& targets);
Variable sum_all(const Variable& x);  // a scalar

}  // namespace dehvf
