#include <cmath>

#include "support/parity.h"

namespace dehvf {
namespace {

class ElementwiseKernels : public Parity {};

// Sizes around the packs, the blocks and the warps of the kernels.
constexpr int64_t kCounts[] = {1, 3, 8, 255, 257, 2048, 2053, 40961};

TEST_P(ElementwiseKernels, Activate) {
  for (Activation activation : {Activation::relu, Activation::silu, Activation::gelu, Activation::gelu_tanh,
                                Activation::gelu_quick, Activation::tanh, Activation::sigmoid})
    for (DType dtype : kKernelDtypes)
      for (int64_t count : kCounts)
        for (int64_t shift : {0, 1}) {
          const Tensor x = drawn(count, shift, dtype, device(), random_key({1, uint64_t(count)}));
          const Tensor whole = output(count, shift, dtype), y = whole.slice(shift, shift + count);
          run<Activate>(device().kind, x, activation, y);
          expect_close(y, activate(exact(x), activation), {.additions = 16, .magnitude = 6},
                       name_of(activation));
          expect_untouched_behind(whole, shift + count);
        }
}

TEST_P(ElementwiseKernels, AddOfTwoDtypes) {
  for (DType dtype : kKernelDtypes)
    for (DType other : kKernelDtypes)
      for (int64_t count : kCounts)
        for (int64_t shift : {0, 1}) {
          const Tensor a = drawn(count, 0, dtype, device(), random_key({2, uint64_t(count)}));
          const Tensor b = drawn(count, shift, other, device(), random_key({3, uint64_t(count)}));
          const Tensor whole = output(count, shift, dtype), y = whole.slice(shift, shift + count);
          run<Add>(device().kind, a, b, -0.3, y);
          expect_close(y, add(exact(a), exact(b), -0.3), {.additions = 2, .magnitude = 6}, "add");
          expect_untouched_behind(whole, shift + count);
          const Tensor want = add(exact(a), exact(b), 2);
          add_into(b, a, 2);  // in place
          expect_close(a, want, {.additions = 2, .magnitude = 2 * 6}, "add_into");
        }
}

TEST_P(ElementwiseKernels, CastRoundsToNearest) {
  for (DType from : kKernelDtypes)
    for (DType to : kKernelDtypes)
      for (int64_t count : kCounts) {
        const Tensor x = drawn(count, 1, from, device(), random_key({4, uint64_t(count)}));
        const Tensor whole = output(count, 1, to), y = whole.slice(1, 1 + count);
        run<Cast>(device().kind, x, y);
        const Tensor host = x.to(kCpu), want({count}, to);
        run<Cast>(DeviceKind::cpu, host, want);
        expect_close(y, exact(want), {.magnitude = 1e-30}, "cast");
        expect_untouched_behind(whole, 1 + count);
      }
}

TEST_P(ElementwiseKernels, TakesNothingAndPassesNanOn) {
  EXPECT_EQ(activate(Tensor({0}, DType::f32, device()), Activation::relu).count(), 0);
  for (Activation activation : {Activation::silu, Activation::gelu, Activation::gelu_tanh,
                                Activation::gelu_quick, Activation::tanh, Activation::sigmoid}) {
    const Tensor nan = tensor_of(std::vector<float>{NAN}).to(device());
    EXPECT_TRUE(std::isnan(item(activate(nan, activation)))) << name_of(activation);
  }
}

INSTANTIATE_TEST_SUITE_P(Places, ElementwiseKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
