// Differentiable softmax.
#pragma once

#include "autograd/tape.h"

namespace dehvf {

Variable softmax(const Variable& x);  // over the last axis

}  // namespace dehvf
