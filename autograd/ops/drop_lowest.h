// Differentiable dropping of each row's lowest entries.
#pragma once

#include "autograd/tape.h"

namespace dehvf {

/// x [rows, width] with the floor(fraction width) lowest entries of each row set to 0; the gradient passes
/// through the entries that were kept.
Variable drop_lowest(const Variable& x, double fraction);

}  // namespace dehvf
