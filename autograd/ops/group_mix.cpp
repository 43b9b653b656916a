#include "autograd/ops/group_mix.h"

#include "core/ops/check.h"
#include "core/ops/group_mix.h"

namespace dehvf {

Variable group_mix(const Variable& weights, const Variable& levels, const Tensor& first_level) {
  const Tensor w = weights.value(), l = levels.value();
  return record("group_mix", group_mix(w, l, first_level), {weights, levels},
                [w, l, first_level](const Tensor& dy, const Wanted& wanted) {
                  const DType type = statistics_dtype(l.dtype());
                  Grads grads(2);
                  if (wanted[0]) grads[0] = Tensor(w.shape(), type, w.device());
                  if (wanted[1]) grads[1] = Tensor(l.shape(), type, l.device());
                  group_mix_backward(w, l, first_level, dy, grads[0], grads[1]);
                  return grads;
                });
}

}  // namespace dehvf
