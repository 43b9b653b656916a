#include <cstring>
#include <limits>

#include "core/ops/cross_entropy.h"
#include "support/parity.h"

namespace dehvf {
namespace {

class ArgmaxKernels : public Parity {
 protected:
  void expect_as_on_the_cpu(const Tensor& x) const {
    const Tensor got = argmax_rows(x.to(device())).to(kCpu), want = argmax_rows(x.to(kCpu));
    ASSERT_EQ(got.shape(), want.shape());
    EXPECT_EQ(std::memcmp(got.raw(), want.raw(), want.bytes()), 0) << x.dtype() << x.shape();
  }
};

TEST_P(ArgmaxKernels, TakeTheFirstOfTheLargest) {
  for (DType dtype : kKernelDtypes)
    for (int64_t width : {1, 3, 8, 255, 256, 611, 2048, 4099, 32000})
      for (int64_t shift : {0, 1}) {
        const uint64_t key = random_key({61, uint64_t(width)});
        expect_as_on_the_cpu(drawn(5 * width, shift, dtype, device(), key).reshape({5, width}));
        Tensor x({5, width}, DType::f32);  // with many equals, zeros of both signs among them
        Random random(key);
        for (float& v : x.span<float>())
          v = float(random.below(3)) - 2, v = v == 0 && random.below(2) ? -0.0f : v;
        expect_as_on_the_cpu(x);
      }
}

TEST_P(ArgmaxKernels, TakeInfinitiesAndNanAsTheCpuDoes) {
  const float inf = std::numeric_limits<float>::infinity();
  for (std::vector<float> row :
       {std::vector<float>{-inf, -inf, -inf}, {NAN, 1, inf}, {1, NAN, 2}, {-inf, NAN, -inf}, {1, inf, inf}})
    expect_as_on_the_cpu(tensor_of(row).reshape({1, 3}));
  EXPECT_EQ(argmax_rows(Tensor({0, 8}, DType::f32, device())).count(), 0);
}

INSTANTIATE_TEST_SUITE_P(Places, ArgmaxKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
