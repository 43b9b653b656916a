#include <cmath>

#include "support/parity.h"

namespace dehvf {
namespace {

class ElementwiseKernels : public Parity {};

// Sizes around the packs, the blocks and the warps of the kernels.
constexpr int64_t kCounts[] = {1, 3, 257, 2048, 9001};
constexpr Activation kActivations[] = {Activation::relu,      Activation::silu,       Activation::gelu,
                                       Activation::gelu_tanh, Activation::gelu_quick, Activation::tanh,
                                       Activation::sigmoid};

TEST_P(ElementwiseKernels, Activate) {
  for (Activation activation : kActivations)
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

TEST_P(ElementwiseKernels, ActivateBackward) {
  for (Activation activation : kActivations)
    for (DType dtype : kKernelDtypes)
      for (int64_t shift : {0, 1}) {
        const int64_t count = 4099;
        const Tensor x = drawn(count, 0, dtype, device(), 31),
                     dy = drawn(count, shift, dtype, device(), 32, 1);
        const Tensor whole = output(count, shift, dtype), dx = whole.slice(shift, shift + count);
        run<ActivateBackward>(device().kind, x, dy, activation, dx);
        expect_close(dx, activate_backward(exact(x), exact(dy), activation),
                     {.additions = 16, .magnitude = 6}, name_of(activation));
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

TEST_P(ElementwiseKernels, MultiplyAndScale) {
  for (DType dtype : kKernelDtypes)
    for (int64_t count : kCounts)
      for (int64_t shift : {0, 1}) {
        const Tensor a = drawn(count, 0, dtype, device(), random_key({33, uint64_t(count)}));
        const Tensor b = drawn(count, shift, dtype, device(), random_key({34, uint64_t(count)}));
        const Tensor whole = output(count, shift, dtype), y = whole.slice(shift, shift + count);
        run<Multiply>(device().kind, a, b, y);
        expect_close(y, multiply(exact(a), exact(b)), {}, "multiply");
        run<Scale>(device().kind, b, -1.7, y);
        expect_close(y, scale(exact(b), -1.7), {}, "scale");
        expect_untouched_behind(whole, shift + count);
      }
}

TEST_P(ElementwiseKernels, SwiGlu) {
  for (DType dtype : kKernelDtypes)
    for (int64_t count : kCounts)
      for (int64_t shift : {0, 1}) {
        const auto key = [&](uint64_t of) { return random_key({of, uint64_t(count)}); };
        const Tensor gate = drawn(count, 0, dtype, device(), key(36)),
                     up = drawn(count, shift, dtype, device(), key(37), 1);
        const Tensor dy = drawn(count, 0, dtype, device(), key(38), 1);
        const Tensor whole = output(count, shift, dtype), y = whole.slice(shift, shift + count);
        run<SwiGlu>(device().kind, gate, up, y);
        const Bound bound{.additions = 16, .magnitude = 6};
        expect_close(y, swiglu(exact(gate), exact(up)), bound, "swiglu");
        const Tensor want_gate(gate.shape(), DType::f64), want_up(gate.shape(), DType::f64);
        swiglu_backward(exact(gate), exact(up), exact(dy), want_gate, want_up);
        const Tensor dup(gate.shape(), dtype, device());
        swiglu_backward(gate, up, dy, y, dup);
        expect_close(y, want_gate, bound, "swiglu_backward gate");
        expect_close(dup, want_up, bound, "swiglu_backward up");
        expect_untouched_behind(whole, shift + count);
      }
}

// One row for all rows, one factor for all columns.
TEST_P(ElementwiseKernels, Broadcast) {
  struct Case {
    int64_t rows, width;
  };
  for (DType dtype : kKernelDtypes)
    for (const auto [rows, width] :
         {Case{1, 1}, Case{7, 3}, Case{131, 8}, Case{9, 257}, Case{5, 2600}, Case{1, 4096}})
      for (int64_t shift : {0, 1}) {
        const int64_t count = rows * width;
        const auto key = [&](uint64_t of) { return random_key({of, uint64_t(width)}); };
        const Tensor x = drawn(count, shift, dtype, device(), key(39)).reshape({rows, width});
        const Tensor row = drawn(width, 0, dtype, device(), key(40)),
                     column = drawn(rows, 0, dtype, device(), key(41));
        const Tensor whole = output(count, shift, dtype);
        const Tensor y = whole.slice(shift, shift + count).reshape({rows, width});
        run<AddRow>(device().kind, x, row, y);
        expect_close(y, add_row(exact(x), exact(row)), {}, "add_row");
        run<MultiplyRow>(device().kind, x, row, y);
        expect_close(y, multiply_row(exact(x), exact(row)), {}, "multiply_row");
        run<MultiplyColumn>(device().kind, x, column, y);
        expect_close(y, multiply_column(exact(x), exact(column)), {}, "multiply_column");
        expect_untouched_behind(whole, shift + count);
      }
}

TEST_P(ElementwiseKernels, TakesNothingAndPassesNanOn) {
  EXPECT_EQ(activate(Tensor({0}, DType::f32, device()), Activation::relu).count(), 0);
  for (Activation activation : {Activation::silu, Activation::gelu, Activation::gelu_tanh,
                                Activation::gelu_quick, Activation::tanh, Activation::sigmoid}) {
    const Tensor nan = tensor_of(std::vector<float>{NAN}).to(device());
    EXPECT_TRUE(std::isnan(item(activate(nan, activation)))) << name_of(activation);
    EXPECT_TRUE(std::isnan(item(activate_backward(nan, nan, activation)))) << name_of(activation);
    EXPECT_TRUE(std::isnan(item(cast(nan, DType::f16))));
  }
  const Tensor none({0, 4}, DType::f32, device()), row({4}, DType::f32, device());
  EXPECT_EQ(swiglu(none, none).count(), 0);
  EXPECT_EQ(add_row(none, row).count(), 0);
  EXPECT_EQ(multiply_column(Tensor({4, 0}, DType::f32, device()), row).count(), 0);
}

INSTANTIATE_TEST_SUITE_P(Places, ElementwiseKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
