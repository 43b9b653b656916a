#include "core/ops/patchify.h"

#include "core/ops/check.h"

namespace dehvf {
namespace {

Shape patches_of(const Shape& images, int64_t patch) {
  require(images.rank() == 4, "patchify: images are ", images, ", wanted [batch, channels, height, width]");
  require(patch > 0 && images[2] % patch == 0 && images[3] % patch == 0, "patchify: images ", images,
          " do not divide into patches of ", patch, " x ", patch);
  return {images[0] * (images[2] / patch) * (images[3] / patch), images[1] * patch * patch};
}

}  // namespace

Tensor patchify(const Tensor& images, int64_t patch) {
  Tensor patches(patches_of(images.shape(), patch), images.dtype(), images.device());
  run<Patchify>(images.device().kind, images, patch, patches);
  return patches;
}

Tensor unpatchify(const Tensor& patches, const Shape& images, int64_t patch) {
  check_like("unpatchify", "patches", patches, patches_of(images, patch), patches.dtype(), patches.device());
  Tensor result(images, patches.dtype(), patches.device());
  run<Unpatchify>(patches.device().kind, patches, patch, result);
  return result;
}

}  // namespace dehvf
