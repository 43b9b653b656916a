#include "autograd/ops/drop_lowest.h"

#include "core/ops/drop_lowest.h"
#include "core/ops/elementwise.h"

namespace dehvf {

Variable drop_lowest(const Variable& x, double fraction) {
  const DropLowestResult result = drop_lowest(x.value(), fraction);
  return record("drop_lowest", result.y, {x},
                [kept = result.kept, type = x.grad_dtype()](const Tensor& dy, const Wanted&) {
                  return Grads{cast(drop_lowest_backward(kept, dy), type)};
                });
}

}  // namespace dehvf
