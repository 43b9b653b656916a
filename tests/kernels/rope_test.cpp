#include "core/ops/rope.h"

#include <cstring>

#include "support/parity.h"

namespace dehvf {
namespace {

class RopeKernels : public Parity {};

constexpr int64_t kPositions = 50;

Tensor positions_of(int64_t tokens) {
  std::vector<int32_t> positions;
  for (int64_t i = 0; i < tokens; ++i) positions.push_back(int32_t(i * 13 % kPositions));
  return tensor_of(positions);
}

TEST_P(RopeKernels, TurnBothWays) {
  const Tensor positions = positions_of(5);
  for (DType dtype : kKernelDtypes)
    for (DType angles : kKernelDtypes)
      for (auto [heads, dim] :
           std::vector<std::array<int64_t, 2>>{{1, 2}, {3, 6}, {2, 64}, {5, 80}, {33, 128}})
        for (int64_t shift : {0, 1})
          for (Turn turn : {Turn::forward, Turn::back}) {
            const int64_t count = 5 * heads * dim;
            const Tensor x = drawn(count, shift, dtype, device(), random_key({11, uint64_t(count)}))
                                 .reshape({5, heads, dim});
            const RopeTable table = rope_table({.theta = 100}, dim, kPositions, angles);
            const RopeTable here{table.cos.to(device()), table.sin.to(device())};
            const RopeTable wide{exact(table.cos), exact(table.sin)};
            const Tensor whole = output(count, shift, dtype);
            const Tensor y = whole.slice(shift, shift + count).reshape(x.shape());
            rope_into({{{x, y}}}, positions.to(device()), here, turn);
            expect_close(y, rope(exact(x), positions, wide, turn), {.additions = 2, .magnitude = 12}, "rope");
            expect_untouched_behind(whole, shift + count);
          }
}

TEST_P(RopeKernels, BackUndoesForwardInPlace) {
  const RopeTable table = rope_table({}, 24, kPositions, DType::f32, device());
  const Tensor positions = positions_of(7).to(device());
  const Tensor x = random_normal({7, 3, 24}, 1, 3).to(device()), y = x.clone();
  rope_into({{{y, y}}}, positions, table, Turn::forward);
  rope_into({{{y, y}}}, positions, table, Turn::back);
  expect_close(y, exact(x), {.additions = 4, .magnitude = 8}, "there and back");
}

// Other numbers of heads each, more tensors than a launch takes, one of them at an odd address.
TEST_P(RopeKernels, TurnSeveralAtOnceAsOneByOne) {
  const RopeTable table = rope_table({}, 32, kPositions, DType::f32, device());
  const Tensor positions = positions_of(6).to(device());
  for (size_t several : {2, 3}) {
    std::vector<TurnedHeads> all;
    std::vector<Tensor> wholes;
    for (size_t i = 0; i < several; ++i) {
      const int64_t heads = 9 - 4 * int64_t(i), count = 6 * heads * 32, shift = i == 1;
      wholes.push_back(output(count, shift, DType::bf16));
      all.push_back({drawn(count, 0, DType::bf16, device(), i).reshape({6, heads, 32}),
                     wholes.back().slice(shift, shift + count).reshape({6, heads, 32})});
    }
    rope_into(all, positions, table, Turn::back);
    for (size_t i = 0; i < several; ++i) {
      const Tensor alone = rope(all[i].x, positions, table, Turn::back).to(kCpu), y = all[i].y.to(kCpu);
      EXPECT_EQ(std::memcmp(y.raw(), alone.raw(), y.bytes()), 0) << i << " of " << several;
      expect_untouched_behind(wholes[i], (i == 1) + y.count());
    }
  }
}

TEST_P(RopeKernels, TakeNoTokensAndPassNanOn) {
  const RopeTable table = rope_table({}, 8, kPositions, DType::f32, device());
  const Tensor none({0}, DType::i32, device()), one = positions_of(1).to(device());
  EXPECT_EQ(rope(Tensor({0, 2, 8}, DType::f32, device()), none, table).count(), 0);
  const Tensor y = rope(full({1, 1, 8}, NAN).to(device()), one, table).to(kCpu);
  for (float v : y.span<float>()) EXPECT_TRUE(std::isnan(v));
}

INSTANTIATE_TEST_SUITE_P(Places, RopeKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
