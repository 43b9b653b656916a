#include "autograd/ops/rope.h"

#include "core/ops/elementwise.h"

namespace dehvf {

Variable rope(const Variable& x, const Tensor& positions, const RopeTable& table) {
  return record("rope", rope(x.value(), positions, table), {x},
                [positions, table, type = x.grad_dtype()](const Tensor& dy, const Wanted&) {
                  return Grads{cast(rope(dy, positions, table, Turn::back), type)};
                });
}

}  // namespace dehvf
