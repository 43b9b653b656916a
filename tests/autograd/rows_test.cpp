// Rows, patches and rotary frequencies: bad input and known values.
#include "autograd/ops/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/ops/patchify.h"
#include "autograd/ops/rope.h"
#include "core/ops/reduce.h"

namespace dehvf {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

Tensor indices(const std::vector<int32_t>& values) { return tensor_of(values); }

TEST(Rows, NameTheEntryThatIsOutside) {
  const Variable table(zeros({5, 3}));
  EXPECT_THAT(
      [&] {
        embedding(indices({0, 4, 5}), table);
      },
      ThrowsMessage<ShapeError>(HasSubstr("token id 5 at 2 is outside [0, 5)")));
  EXPECT_THAT([&] { gather_rows(table, indices({-1})); }, ThrowsMessage<ShapeError>(HasSubstr("-1 at 0")));
  EXPECT_THROW(scatter_add_rows(zeros({1, 3}), indices({5}), 5, DType::f32), ShapeError);
  EXPECT_THROW(embedding(tensor_of(std::vector<int64_t>{0}), table), DTypeError);
  EXPECT_THROW(slice_columns(table, 1, 4), ShapeError);
  EXPECT_THROW(slice_rows(table, 3, 2), ShapeError);
  const std::vector<Variable> uneven{zeros({2, 3}), zeros({2, 4})},
      mixed{zeros({2, 3}), zeros({2, 3}, DType::bf16)};
  EXPECT_THROW(concat_rows(uneven), ShapeError);
  EXPECT_NO_THROW(concat_columns(uneven));
  EXPECT_THROW(concat_columns(mixed), DTypeError);
}

TEST(Rows, MoveIntegersAndNothing) {
  const Tensor x = tensor_of(std::vector<int32_t>{1, 2, 3, 4, 5, 6}).reshape({3, 2});
  const Tensor picked = gather_rows(x, indices({2, 0}));
  EXPECT_THAT(picked.span<int32_t>(), testing::ElementsAre(5, 6, 1, 2));
  EXPECT_EQ(gather_rows(x, Tensor({0}, DType::i32)).shape(), (Shape{0, 2}));
  EXPECT_EQ(slice_columns(x, 1, 1).shape(), (Shape{3, 0}));
  EXPECT_EQ(
      item(sum_all(scatter_add_rows(Tensor({0, 2}, DType::f32), Tensor({0}, DType::i32), 4, DType::f32))), 0);
}

TEST(Rows, TrainableTableKeepsAnF32Gradient) {
  const Variable table = Variable::parameter(zeros({5, 3}, DType::bf16), "table");
  backward(embedding(indices({1, 1, 3}), table));
  EXPECT_EQ(table.grad().dtype(), DType::f32);
  EXPECT_THAT(table.grad().span<float>(), testing::ElementsAre(0, 0, 0, 2, 2, 2, 0, 0, 0, 1, 1, 1, 0, 0, 0));
}

TEST(Patches, RefuseWhatDoesNotDivide) {
  EXPECT_THAT(
      [] {
        patchify(zeros({1, 3, 14, 15}), 7);
      },
      ThrowsMessage<ShapeError>(HasSubstr("[1, 3, 14, 15] do not divide into patches of 7 x 7")));
  EXPECT_THROW(unpatchify(zeros({3, 147}), {1, 3, 14, 14}, 7), ShapeError);
}

TEST(RopeTables, StretchTheFrequencies) {
  const auto plain = rope_frequencies({.theta = 500000}, 128);
  const auto linear = rope_frequencies({.kind = RopeKind::linear, .theta = 500000, .factor = 4}, 128);
  const auto llama3 = rope_frequencies({.kind = RopeKind::llama3, .theta = 500000, .factor = 8}, 128);
  EXPECT_EQ(plain[0], 1);
  EXPECT_DOUBLE_EQ(plain[32], std::pow(500000, -0.5));
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_DOUBLE_EQ(linear[i], plain[i] / 4);
  EXPECT_EQ(llama3[10], plain[10]);  // wavelength 49 < 8192 / 4
  EXPECT_DOUBLE_EQ(llama3[60], plain[60] / 8);
  const double wavelength = 2 * M_PI / plain[32], blend = (8192 / wavelength - 1) / 3;  // 4443
  EXPECT_NEAR(llama3[32], plain[32] * ((1 - blend) / 8 + blend), 1e-12);
}

TEST(RopeTables, RefuseWhatTheyCannotTurn) {
  const RopeTable table = rope_table({}, 4, 8);
  EXPECT_THAT(
      [&] {
        rope(zeros({2, 1, 4}), indices({7, 8}), table);
      },
      ThrowsMessage<ShapeError>(HasSubstr("position 8 at 1 is outside [0, 8)")));
  EXPECT_THROW(rope(zeros({2, 1, 6}), indices({0, 1}), table), ShapeError);
  EXPECT_THROW(rope_table({}, 5, 8), ShapeError);
  EXPECT_THROW(rope_table({.kind = RopeKind::linear, .factor = 0}, 4, 8), ConfigError);
  EXPECT_THROW(rope_table({.kind = RopeKind::llama3, .high_frequency_factor = 1}, 4, 8), ConfigError);
}

}  // namespace
}  // namespace dehvf
