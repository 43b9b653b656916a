#include "core/ops/patchify.h"

#include "core/cpu/chunks.h"

namespace dehvf::cpu {
namespace {

// move(offset in the images, offset in the patches, bytes) for every run of `patch` pixels that both hold
// together.
template <class Move>
void for_runs(const Tensor& images, int64_t patch, const Move& move) {
  const int64_t channels = images.size(1), down = images.size(2) / patch, across = images.size(3) / patch;
  const int64_t run = patch * int64_t(size_of(images.dtype()));
  // One task a line of pixels: (image, channel, patch row, line in the patch).
  for_rows(images.size(0) * channels * down * patch, across * run, [&](int64_t line) {
    const int64_t y = line % patch, row = line / patch % down, channel = line / patch / down % channels,
                  image = line / patch / down / channels;
    for (int64_t column = 0; column < across; ++column) {
      const int64_t at = (image * down + row) * across + column;
      move((line * across + column) * run, ((at * channels + channel) * patch + y) * run, size_t(run));
    }
  });
}

void patchify(const Tensor& images, int64_t patch, const Tensor& patches) {
  const auto* from = static_cast<const std::byte*>(images.raw());
  auto* to = static_cast<std::byte*>(patches.raw());
  for_runs(images, patch, [&](int64_t in_images, int64_t in_patches, size_t bytes) {
    std::memcpy(to + in_patches, from + in_images, bytes);
  });
}

void unpatchify(const Tensor& patches, int64_t patch, const Tensor& images) {
  const auto* from = static_cast<const std::byte*>(patches.raw());
  auto* to = static_cast<std::byte*>(images.raw());
  for_runs(images, patch, [&](int64_t in_images, int64_t in_patches, size_t bytes) {
    std::memcpy(to + in_images, from + in_patches, bytes);
  });
}

const Provide<Patchify> provide_patchify{{DeviceKind::cpu}, patchify};
const Provide<Unpatchify> provide_unpatchify{{DeviceKind::cpu}, unpatchify};

}  // namespace
}  // namespace dehvf::cpu
