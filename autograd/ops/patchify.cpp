#include "autograd/ops/patchify.h"

namespace dehvf {

Variable patchify(const Variable& images, int64_t patch) {
  return record("patchify", patchify(images.value(), patch), {images},
                [shape = images.shape(), patch](const Tensor& dy, const Wanted&) {
                  return Grads{unpatchify(dy, shape, patch)};
                });
}

}  // namespace dehvf
