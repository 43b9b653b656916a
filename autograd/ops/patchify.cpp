#include "autograd/ops/patchify.h"

#include "core/ops/elementwise.h"

namespace dehvf {

Variable patchify(const Variable& images, int64_t patch) {
  return record("patchify", patchify(images.value(), patch), {images},
                [shape = images.shape(), patch, type = images.grad_dtype()](const Tensor& dy, const Wanted&) {
                  return Grads{cast(unpatchify(dy, shape, patch), type)};
                });
}

}  // namespace dehvf
