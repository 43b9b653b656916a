#include "autograd/ops/rope.h"

namespace dehvf {

Variable rope(const Variable& x, const Tensor& positions, const RopeTable& table) {
  return record("rope", rope(x.value(), positions, table), {x},
                [positions, table](const Tensor& dy, const Wanted&) {
                  return Grads{rope(dy, positions, table, Turn::back)};
                });
}

}  // namespace dehvf
