// Differentiable patches of images: see core/ops/patchify.h.
#pragma once

#include "autograd/tape.h"
#include "core/ops/patchify.h"

namespace dehvf {

Variable patchify(const Variable& images, int64_t patch);

}  // namespace dehvf
