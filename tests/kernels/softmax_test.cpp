#include "core/ops/softmax.h"

#include <cstring>

#include "support/parity.h"

namespace dehvf {
namespace {

class SoftmaxKernels : public Parity {};

// Around the packs, the warps and the largest block.
constexpr int64_t kWidths[] = {1, 3, 8, 97, 256, 611, 1024, 4096, 8211};

TEST_P(SoftmaxKernels, Forward) {
  for (DType dtype : kKernelDtypes)
    for (int64_t width : kWidths)
      for (int64_t shift : {0, 1}) {
        const int64_t rows = 3, count = rows * width;
        const Tensor x = drawn(count, shift, dtype, device(), random_key({12, uint64_t(width)}), 20)
                             .reshape({rows, width});
        const Tensor whole = output(count, shift, dtype);
        const Tensor y = whole.slice(shift, shift + count).reshape(x.shape());
        run<Softmax>(device().kind, x, y);
        expect_close(y, softmax(exact(x)), {.additions = double(width), .magnitude = 20}, "softmax");
        expect_untouched_behind(whole, shift + count);
      }
}

TEST_P(SoftmaxKernels, Backward) {
  for (DType dtype : kKernelDtypes)
    for (int64_t width : kWidths)
      for (int64_t shift : {0, 1}) {
        const int64_t rows = 3, count = rows * width;
        const auto key = [&](uint64_t of) { return random_key({of, uint64_t(width)}); };
        const Tensor y = drawn(count, 0, dtype, device(), key(13), 1).reshape({rows, width});
        const Tensor dy = drawn(count, shift, dtype, device(), key(14), 1).reshape({rows, width});
        const Tensor whole = output(count, shift, dtype);
        const Tensor dx = whole.slice(shift, shift + count).reshape(y.shape());
        run<SoftmaxBackward>(device().kind, y, dy, dx);
        const double terms = std::sqrt(double(width));  // of the inner product
        expect_close(dx, softmax_backward(exact(y), exact(dy)),
                     {.additions = double(width), .magnitude = 1 + terms}, "softmax_backward");
        expect_untouched_behind(whole, shift + count);
      }
}

// Large entries do not overflow; equal ones share.
TEST_P(SoftmaxKernels, SubtractTheLargest) {
  const Tensor y = softmax(full({2, 40}, 3e38).to(device())).to(kCpu);
  for (float v : y.span<float>()) EXPECT_FLOAT_EQ(v, 1.0f / 40);
}

TEST_P(SoftmaxKernels, RepeatBitForBitAndPassNanOn) {
  const Tensor x = random_normal({7, 5003}, 1, 8);
  x.data<float>()[2 * 5003 + 5002] = NAN;
  const Tensor first = softmax(x.to(device())).to(kCpu), second = softmax(x.to(device())).to(kCpu);
  EXPECT_EQ(std::memcmp(first.raw(), second.raw(), first.bytes()), 0);
  for (int64_t row = 0; row < 7; ++row)
    for (int64_t c : {0, 2501, 5002}) EXPECT_EQ(std::isnan(first.data<float>()[row * 5003 + c]), row == 2);
}

TEST_P(SoftmaxKernels, TakeNoRows) { EXPECT_EQ(softmax(Tensor({0, 8}, DType::f32, device())).count(), 0); }

INSTANTIATE_TEST_SUITE_P(Places, SoftmaxKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
