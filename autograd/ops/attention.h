// Differentiable attention over spans: see core/ops/attention.h for shapes.
#pragma once

#include "autograd/tape.h"
#include "core/ops/attention.h"

namespace dehvf {

Variable attention(const Variable& q, const Variable& k, const Variable& v, const Tensor& spans,
                   const AttentionOptions& options);

}  // namespace dehvf
