#include "core/ops/norm.h"

#include <cstring>

#include "support/parity.h"

namespace dehvf {
namespace {

class NormKernels : public Parity {};

TEST_P(NormKernels, RmsNormOfTwoDtypes) {
  for (DType dtype : kKernelDtypes)
    for (DType other : kKernelDtypes)
      for (int64_t width : {1, 7, 8, 64, 611, 1024, 4096, 5000, 9001})
        for (int64_t shift : {0, 1}) {
          const int64_t rows = 5;
          const Tensor x = drawn(rows * width, shift, dtype, device(), random_key({4, uint64_t(width)}))
                               .reshape({rows, width});
          const Tensor weight = drawn(width, 0, other, device(), 5);
          const RmsNormResult got = rms_norm(x, weight, 1e-5), want = rms_norm(exact(x), exact(weight), 1e-5);
          const Bound bound{.additions = double(width), .stores = 2};
          expect_close(got.y, want.y, bound, "rms_norm");
          EXPECT_EQ(got.inv_rms.dtype(), DType::f32);
          expect_close(got.inv_rms, want.inv_rms, {.additions = double(width)}, "inv_rms");
        }
}

// With the row's own inv_rms the two roundings are known exactly.
TEST_P(NormKernels, RmsNormRoundsBeforeTheWeight) {
  const int64_t rows = 3, width = 769;
  const Tensor x = random_normal({rows, width}, 2, 6, DType::bf16);
  const Tensor weight = random_uniform({width}, 0.5, 1.5, 7, DType::bf16);
  const RmsNormResult got = rms_norm(x.to(device()), weight.to(device()), 1e-6);
  const Tensor y = got.y.to(kCpu), inv = got.inv_rms.to(kCpu);
  for (int64_t i = 0; i < rows * width; ++i) {
    const bf16 normalised(float(x.data<bf16>()[i]) * inv.data<float>()[i / width]);
    const bf16 want(float(normalised) * float(weight.data<bf16>()[i % width]));
    ASSERT_EQ(y.data<bf16>()[i].bits, want.bits) << i;
  }
}

TEST_P(NormKernels, RepeatsBitForBit) {
  const Tensor x = random_normal({17, 5003}, 1, 8, DType::f16).to(device());
  const Tensor weight = random_normal({5003}, 1, 9).to(device());
  const Tensor first = rms_norm(x, weight, 1e-5).y.to(kCpu), second = rms_norm(x, weight, 1e-5).y.to(kCpu);
  EXPECT_EQ(std::memcmp(first.raw(), second.raw(), first.bytes()), 0);
}

TEST_P(NormKernels, TakeNoRows) {
  EXPECT_EQ(
      rms_norm(Tensor({0, 8}, DType::f32, device()), full({8}, 1, DType::f32, device()), 1e-5).y.count(), 0);
}

INSTANTIATE_TEST_SUITE_P(Places, NormKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
