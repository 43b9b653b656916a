#include "autograd/ops/dropout.h"

#include "core/ops/elementwise.h"

namespace dehvf {

Variable dropout(const Variable& x, const Tensor& sample_offsets, const DropoutSpec& spec) {
  const Tensor y = dropout(x.value(), sample_offsets, spec);
  if (spec.rate == 0) return x;
  return record("dropout", y, {x},
                [sample_offsets, spec, type = x.grad_dtype()](const Tensor& dy, const Wanted&) {
                  return Grads{cast(dropout(dy, sample_offsets, spec), type)};
                });
}

}  // namespace dehvf
