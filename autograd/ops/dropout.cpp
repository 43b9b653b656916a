#include "autograd/ops/dropout.h"

namespace dehvf {

Variable dropout(const Variable& x, const Tensor& sample_offsets, const DropoutSpec& spec) {
  const Tensor y = dropout(x.value(), sample_offsets, spec);
  if (spec.rate == 0) return x;
  return record("dropout", y, {x}, [sample_offsets, spec](const Tensor& dy, const Wanted&) {
    return Grads{dropout(dy, sample_offsets, spec)};
  });
}

}  // namespace dehvf
