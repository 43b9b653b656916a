// What op cases cannot say of the fusion ops: which mask a key gives, what is refused.
#include <gmock/gmock.h>

#include "autograd/ops/dropout.h"
#include "autograd/ops/visual_rows.h"
#include "core/ops/drop_lowest.h"
#include "core/ops/group_mix.h"
#include "core/random.h"

namespace dehvf {
namespace {

using testing::HasSubstr;

Tensor ints(std::vector<int32_t> values) { return tensor_of(values); }
DropoutSpec spec(std::vector<int64_t> ids, double rate = 0.4) { return {rate, 1, 2, 3, tensor_of(ids)}; }

bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

TEST(Dropout, MaskIsAFunctionOfTheKeyAlone) {
  const Tensor mask = dropout_mask(37, ints({0, 5, 5, 11}), spec({42, 7, 43}), DType::f32);
  // The same samples, packed elsewhere.
  const Tensor other = dropout_mask(37, ints({0, 6, 11}), spec({43, 42}), DType::f32);
  EXPECT_TRUE(equal(mask.slice(0, 5), other.slice(6, 11)));
  EXPECT_TRUE(equal(mask.slice(5, 11), other.slice(0, 6)));
  EXPECT_FALSE(equal(mask.slice(0, 5), mask.slice(5, 10)));
  EXPECT_FALSE(equal(mask[0], mask[1]));
  for (int which = 0; which < 4; ++which) {
    DropoutSpec changed = spec({42, 7, 43});
    if (which == 0) ++changed.seed;
    if (which == 1) ++changed.step;
    if (which == 2) ++changed.layer;
    if (which == 3) changed.sample_ids = tensor_of(std::vector<int64_t>{42 + (int64_t(1) << 32), 7, 43});
    EXPECT_FALSE(
        equal(dropout_mask(37, ints({0, 5, 5, 11}), changed, DType::f32).slice(0, 5), mask.slice(0, 5)))
        << which;
  }
}

TEST(Dropout, FollowsPhilox) {
  const Tensor mask = dropout_mask(6, ints({0, 3}), spec({0x500000009}), DType::f64);
  const uint64_t key = random_key({1, 2, 3});
  for (uint32_t position = 0; position < 3; ++position)
    for (uint32_t slot = 0; slot < 6; ++slot) {
      const uint32_t word = philox({position, slot / 4, 9, 5}, key)[slot % 4];
      EXPECT_EQ(mask.data<double>()[position * 6 + slot], word * 0x1p-32 < 0.4 ? 0 : 1 / 0.6);
    }
}

TEST(Dropout, DropsTheWantedShare) {
  const int64_t count = 400 * 101;
  const Tensor mask = dropout_mask(101, ints({0, 400}), spec({3}, 0.1), DType::f32);
  int64_t dropped = 0;
  for (float factor : mask.span<float>()) dropped += factor == 0;
  EXPECT_NEAR(double(dropped) / double(count), 0.1, 5 * std::sqrt(0.09 / double(count)));
}

TEST(Dropout, OffReturnsItsInput) {
  const Variable x = Variable::parameter(random_normal({3, 4}, 1, 1), "x");
  EXPECT_EQ(dropout(x, ints({0, 3}), {}), x);
}

template <class E>
std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing thrown";
}

TEST(Dropout, RefusesWhatDoesNotFit) {
  const Tensor x = zeros({3, 4});
  EXPECT_EQ(refusal<ConfigError>([&] {
              dropout(x, ints({0, 3}), spec({1}, 1.0));
            }),
            "dropout: dropout rate 1 is not in [0, 1)");
  EXPECT_EQ(refusal<ShapeError>([&] {
              dropout(x, ints({0, 2}), spec({1}));
            }),
            "dropout: sample_offsets runs from 0 to 2, wanted 0 to 3 tokens");
  EXPECT_EQ(refusal<ShapeError>([&] {
              dropout(x, ints({0, 2, 1, 3}), spec({1, 2, 3}));
            }),
            "dropout: sample_offsets falls from 2 to 1 at sample 1");
  EXPECT_EQ(refusal<ShapeError>([&] {
              dropout(x, ints({0, 1, 3}), spec({1}));
            }),
            "dropout: dropout.sample_ids is [1], wanted [2]");
  EXPECT_EQ(refusal<DTypeError>([&] {
              dropout(x, tensor_of(std::vector<int64_t>{0, 3}), spec({1}));
            }),
            "dropout: sample_offsets is i64, wanted i32");
}

struct Rows {
  VisualRowsTensors tensors{random_normal({7, 5}, 1, 1),    random_normal({7, 5}, 1, 2),
                            random_normal({2, 4, 3}, 1, 3), random_normal({2, 4, 3}, 1, 4),
                            random_normal({5, 3}, 1, 5),    random_normal({5}, 1, 6)};
  VisualRowsPlan plan{ints({0, 2, 6}), ints({1, -1})};
  Tensor x = random_normal({6, 5}, 1, 7);

  std::string refused() const {
    return refusal<Error>([&] { visual_rows(x, tensors, plan); });
  }
};

TEST(VisualRows, RefusesWhatDoesNotFit) {
  EXPECT_EQ(Rows().refused(), "nothing thrown");
  Rows few;
  few.tensors.slot_keys = few.tensors.slot_values = zeros({3, 5});
  EXPECT_EQ(few.refused(),
            "visual_rows: an image has N = 4 rows, but there are only n = 3 slots; use at least 4 slots");
  Rows beyond;
  beyond.plan.image_of = ints({1, 2});
  EXPECT_EQ(beyond.refused(), "visual_rows: sample 1 has image 2 of 2; wanted -1 for none");
  Rows below;
  below.plan.image_of = ints({-2, 0});
  EXPECT_THAT(below.refused(), HasSubstr("sample 0 has image -2"));
  Rows turned;  // the contract's orientation instead of the projector's
  turned.tensors.basis = zeros({3, 5});
  EXPECT_EQ(turned.refused(), "visual_rows: basis is [3, 5], wanted [5, 3]");
  Rows loose;
  loose.tensors.basis = {};
  EXPECT_EQ(loose.refused(), "visual_rows: image_keys is [2, 4, 3], wanted [2, 4, 5]");
  Rows unbiased;
  unbiased.tensors.bias = {};
  EXPECT_EQ(unbiased.refused(), "visual_rows: bias is empty, wanted [5]");
  Rows none;
  none.tensors.image_keys = none.tensors.image_values = none.tensors.basis = none.tensors.bias = {};
  EXPECT_EQ(none.refused(), "visual_rows: sample 0 has image 1 of 0; wanted -1 for none");
  Rows bare;  // of the image terms alone, of which the second sample has none
  bare.tensors.slot_keys = bare.tensors.slot_values = {};
  EXPECT_EQ(bare.refused(), "visual_rows: sample 1 has image -1 of 2; without slots every sample needs one");
  Rows half;
  half.tensors.slot_values = {};
  EXPECT_EQ(half.refused(), "visual_rows: slot_values is empty, wanted [7, 5]");
}

// Slices of one tensor as keys and values must not be taken for the same rows.
TEST(VisualRows, KeysAndValuesMayShareStorage) {
  Rows rows;
  const Tensor both = random_normal({2, 2, 4, 3}, 1, 8);
  rows.tensors.image_keys = both[0];
  rows.tensors.image_values = both[1];
  const Tensor shared = visual_rows(rows.x, rows.tensors, rows.plan).output;
  rows.tensors.image_values = both[1].clone();
  EXPECT_TRUE(equal(shared, visual_rows(rows.x, rows.tensors, rows.plan).output));
  rows.tensors.image_values = both[0];
  EXPECT_FALSE(equal(shared, visual_rows(rows.x, rows.tensors, rows.plan).output));
}

TEST(GroupMix, RefusesALevelThatIsNotThere) {
  const Tensor weights = zeros({2, 3, 2}), levels = zeros({2, 4, 5, 6});
  EXPECT_EQ(refusal<ShapeError>([&] {
              group_mix(weights, levels, ints({0, 3, 1}));
            }),
            "group_mix: query 1 wants levels 3 to 4 of 4");
  EXPECT_EQ(refusal<ShapeError>([&] {
              group_mix(weights, zeros({3, 4, 5, 6}), ints({0, 1, 2}));
            }),
            "group_mix: weights is [2, 3, 2], wanted [3, 3, 2]");
}

TEST(DropLowest, CountsAndTies) {
  const Tensor x = tensor_of(std::span<const float>(std::vector<float>{1, 1, 1, 1, 0, 5, -7, 3}), {2, 4});
  const DropLowestResult half = drop_lowest(x, 0.5);
  EXPECT_THAT(half.y.span<float>(), testing::ElementsAre(0, 0, 1, 1, 0, 5, 0, 3));
  EXPECT_THAT(half.kept.span<uint8_t>(), testing::ElementsAre(0, 0, 1, 1, 0, 1, 0, 1));
  const auto dropped = [](double fraction) {  // of 100
    const Tensor kept = drop_lowest(random_normal({1, 100}, 1, 1), fraction).kept;
    int64_t count = 0;
    for (uint8_t keep : kept.span<uint8_t>()) count += !keep;
    return count;
  };
  EXPECT_EQ(dropped(0), 0);
  EXPECT_EQ(dropped(0.29), 29);  // 28.99...96 in doubles
  EXPECT_EQ(dropped(0.299), 29);
  EXPECT_THROW(drop_lowest(x, 1), ConfigError);
}

}  // namespace
}  // namespace dehvf
