// patches[(image, row, column), (channel, y, x)] = images[image, channel, row patch + y, column patch + x]
// A warp owns a line of pixels (image, channel, row, y), its threads units of up to 16 bytes.
#include "core/ops/patchify.h"
#include "cuda/kernels/unit.cuh"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"

namespace dehvf::cuda {
namespace {

// A run: the units of the pixels of one line of one patch.
struct Runs {
  int64_t lines, channels, down;
  int across, patch, units;
};

template <bool to_patches, class Unit>
__global__ void patchify_kernel(Runs runs, const Unit* from, Unit* to) {
  const int64_t line = int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
  if (line >= runs.lines) return;
  const int64_t y = line % runs.patch, row = line / runs.patch % runs.down;
  const int64_t channel = line / runs.patch / runs.down % runs.channels;
  const int64_t image = line / runs.patch / runs.down / runs.channels;
  const int64_t first_patch = (image * runs.down + row) * runs.across;
  const int width = runs.across * runs.units;
  for (int u = int(threadIdx.x); u < width; u += kWarp) {
    const int column = u / runs.units, in_run = u - column * runs.units;
    const int64_t in_images = line * width + u;
    const int64_t in_patches =
        (((first_patch + column) * runs.channels + channel) * runs.patch + y) * runs.units + in_run;
    if constexpr (to_patches)
      to[in_patches] = from[in_images];
    else
      to[in_images] = from[in_patches];
  }
}

template <bool to_patches>
void move_runs(LaunchSite site, const Tensor& from, const Tensor& to, int64_t patch) {
  const Tensor& images = to_patches ? from : to;
  const int64_t run = patch * int64_t(size_of(images.dtype())), down = images.size(2) / patch;
  visit_unit(
      [&]<class Unit>(std::type_identity<Unit>) {
        constexpr int kLines = 8;
        const Runs runs{.lines = images.size(0) * images.size(1) * images.size(2),
                        .channels = images.size(1),
                        .down = down,
                        .across = int(images.size(3) / patch),
                        .patch = int(patch),
                        .units = int(run / int64_t(sizeof(Unit)))};
        launch(site, dim3(unsigned((runs.lines + kLines - 1) / kLines)), dim3(kWarp, kLines), 0,
               current_stream(from.device()), patchify_kernel<to_patches, Unit>, runs,
               static_cast<const Unit*>(from.raw()), static_cast<Unit*>(to.raw()));
      },
      address(from.raw()), address(to.raw()), run);
}

void patchify(const Tensor& images, int64_t patch, const Tensor& patches) {
  move_runs<true>({"patchify"}, images, patches, patch);
}
void unpatchify(const Tensor& patches, int64_t patch, const Tensor& images) {
  move_runs<false>({"unpatchify"}, patches, images, patch);
}

const Provide<Patchify> provide_patchify{{kKernelDevice}, patchify};
const Provide<Unpatchify> provide_unpatchify{{kKernelDevice}, unpatchify};

}  // namespace
}  // namespace dehvf::cuda
