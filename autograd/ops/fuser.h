// The differentiable fuser in one op; keeps nothing but its inputs.
#pragma once

#include "autograd/tape.h"
#include "core/ops/fuser.h"

namespace dehvf {

/// As core/ops/fuser.h; parameters of which a model holds rounded copies are widened first.
Variable fuser(const Variable& levels, std::span<const Variable> parameters, const FuserPlan& plan);

}  // namespace dehvf
