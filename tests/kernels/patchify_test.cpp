#include "core/ops/patchify.h"

#include <cstring>

#include "support/parity.h"

namespace dehvf {
namespace {

class PatchifyKernels : public Parity {};

struct Case {
  Shape images;
  int64_t patch;
};

TEST_P(PatchifyKernels, CutAndJoin) {
  for (DType dtype : kKernelDtypes)
    for (const Case& c :
         {Case{{1, 1, 1, 1}, 1}, Case{{2, 3, 14, 28}, 7}, Case{{1, 3, 32, 16}, 8}, Case{{3, 2, 6, 6}, 3},
          Case{{1, 1, 84, 14}, 14}, Case{{0, 3, 4, 4}, 2}, Case{{1, 1, 2, 70}, 1}})
      for (int64_t shift : {0, 1}) {
        const int64_t count = c.images.count();
        const Tensor images = drawn(count, shift, dtype, device(), 71).reshape(c.images);
        const Tensor want = patchify(images.to(kCpu), c.patch);
        const Tensor whole = output(count, shift, dtype), out = whole.slice(shift, shift + count);
        run<Patchify>(device().kind, images, c.patch, out.reshape(want.shape()));
        EXPECT_EQ(std::memcmp(out.to(kCpu).raw(), want.raw(), want.bytes()), 0) << c.images << dtype << shift;
        expect_untouched_behind(whole, shift + count);
        const Tensor back = unpatchify(want.to(device()), c.images, c.patch).to(kCpu);
        EXPECT_EQ(std::memcmp(back.raw(), images.to(kCpu).raw(), back.bytes()), 0) << c.images << dtype;
      }
}

INSTANTIATE_TEST_SUITE_P(Places, PatchifyKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
