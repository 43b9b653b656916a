// Dropout multiplies once, so its bits are the CPU's on every device.
#include "core/ops/dropout.h"

#include <cstring>

#include "core/ops/step_state.h"
#include "support/parity.h"

namespace dehvf {
namespace {

class DropoutKernels : public Parity {
 protected:
  // Three samples, one of them without tokens.
  static constexpr int64_t kTokens = 23;
  const Tensor offsets_ = tensor_of(std::vector<int32_t>{0, 5, 5, 23});
  const Tensor ids_ = tensor_of(std::vector<int64_t>{7, -1, (int64_t(1) << 40) + 3});

  DropoutSpec spec(double rate, Device where) const {
    return {.rate = rate, .seed = 5, .step = 6, .layer = 7, .sample_ids = ids_.to(where)};
  }
  void expect_cpus_bits(const Tensor& got, const Tensor& want) const {
    ASSERT_EQ(got.shape(), want.shape());
    EXPECT_EQ(std::memcmp(got.to(kCpu).raw(), want.raw(), want.bytes()), 0) << want.dtype() << want.shape();
  }
};

TEST_P(DropoutKernels, DrawTheCpusBits) {
  for (DType dtype : kKernelDtypes)
    for (int64_t width : {1, 2, 7, 8, 24, 256, 261, 1031})
      for (int64_t shift : {0, 1})
        for (double rate : {0.1, 0.5, 0.999}) {
          const int64_t count = kTokens * width;
          const Tensor x = drawn(count, shift, dtype, device(), 21).reshape({kTokens, width});
          const Tensor whole = output(count, shift, dtype);
          const Tensor y = whole.slice(shift, shift + count).reshape(x.shape());
          run<Dropout>(device().kind, x, offsets_.to(device()), spec(rate, device()), y);
          expect_cpus_bits(y, dropout(x.to(kCpu), offsets_, spec(rate, kCpu)));
          expect_untouched_behind(whole, shift + count);
        }
}

TEST_P(DropoutKernels, TakePositionsAndTheStepFromTensors) {
  const Tensor x = random_normal({kTokens, 40}, 1, 22), offsets = offsets_.to(device());
  std::vector<int32_t> places;
  for (int i = 0; i < kTokens; ++i) places.push_back(100 - 3 * i);
  DropoutSpec here = spec(0.3, device()), there = spec(0.3, kCpu);
  here.positions = tensor_of(places).to(device());
  there.positions = tensor_of(places);
  expect_cpus_bits(dropout(x.to(device()), offsets, here), dropout(x, offsets_, there));

  const Tensor before = dropout(x.to(device()), offsets, here).to(kCpu);
  here.step_state = step_state(device());
  write_step({.step = (uint64_t(1) << 33) + 9}, here.step_state);
  there.step = (uint64_t(1) << 33) + 9;
  const Tensor after = dropout(x.to(device()), offsets, here).to(kCpu);
  expect_cpus_bits(after, dropout(x, offsets_, there));
  EXPECT_NE(std::memcmp(before.raw(), after.raw(), before.bytes()), 0);
}

TEST_P(DropoutKernels, PassNanOnWhereItIsKept) {
  const Tensor x = full({kTokens, 64}, NAN), ones = full({kTokens, 64}, 1);
  const Tensor got = dropout(x.to(device()), offsets_.to(device()), spec(0.5, device())).to(kCpu);
  const Tensor factors = dropout(ones, offsets_, spec(0.5, kCpu));
  for (int64_t i = 0; i < got.count(); ++i) {
    const float kept = factors.data<float>()[i], value = got.data<float>()[i];
    EXPECT_TRUE(kept == 0 ? value == 0 : std::isnan(value)) << i;
  }
}

TEST_P(DropoutKernels, TakeNoTokens) {
  const Tensor offsets = tensor_of(std::vector<int32_t>{0, 0}).to(device());
  DropoutSpec none = spec(0.5, device());
  none.sample_ids = none.sample_ids.slice(0, 1);
  EXPECT_EQ(dropout(Tensor({0, 8}, DType::f32, device()), offsets, none).count(), 0);
}

INSTANTIATE_TEST_SUITE_P(Places, DropoutKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
