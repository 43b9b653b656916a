#include "autograd/ops/drop_lowest.h"

#include "core/ops/drop_lowest.h"

namespace dehvf {

Variable drop_lowest(const Variable& x, double fraction) {
  const DropLowestResult result = drop_lowest(x.value(), fraction);
  return record("drop_lowest", result.y, {x}, [kept = result.kept](const Tensor& dy, const Wanted&) {
    return Grads{drop_lowest_backward(kept, dy)};
  });
}

}  // namespace dehvf
