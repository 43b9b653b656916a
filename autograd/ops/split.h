// Pieces of one Variable whose gradients meet again in one buffer, without a sum over padded copies.
#pragma once

#include <vector>

#include "autograd/tape.h"

namespace dehvf {

/// x [pieces, ...] -> its entries along the first axis, each [...] without that axis.
std::vector<Variable> split(const Variable& x);

}  // namespace dehvf
