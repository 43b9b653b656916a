#include "core/tensor.h"

#include <gmock/gmock.h>

namespace dehvf {
namespace {

using testing::ElementsAre;

Tensor count_up(const Shape& shape) {
  Tensor t(shape, DType::f32);
  for (int64_t i = 0; i < t.count(); ++i) t.data<float>()[i] = float(i);
  return t;
}

TEST(Shape, AxesCountsAndText) {
  const Shape s{2, 3, 5};
  EXPECT_EQ(s[-1], 5);
  EXPECT_EQ(s[0], 2);
  EXPECT_EQ(s.count(), 30);
  EXPECT_EQ(s.rows(), 6);
  EXPECT_EQ(s.last(), 5);
  EXPECT_EQ(s.with(-2, 7), (Shape{2, 7, 5}));
  EXPECT_EQ(s.without(0), (Shape{3, 5}));
  EXPECT_EQ(concat(s), "[2, 3, 5]");
  EXPECT_EQ(concat(Shape{}), "[]");
  EXPECT_EQ(Shape{}.count(), 1);
  EXPECT_EQ((Shape{4, 0, 3}).count(), 0);
  EXPECT_NE(s.without(2), s);
}

TEST(Shape, Refuses) {
  EXPECT_THROW((Shape{1, 2, 3, 4, 5, 6}), ShapeError);
  EXPECT_THROW((Shape{1, -2}), ShapeError);
  EXPECT_THROW((Shape{1, 2})[2], ShapeError);
  EXPECT_THROW((Shape{1, 2})[-3], ShapeError);
  EXPECT_THROW(Shape{}.last(), ShapeError);
}

TEST(Tensor, ViewsShareBytes) {
  const Tensor t = count_up({4, 3});
  const Tensor rows = t.slice(1, 3), row = t[2], flat = t.reshape({2, 6});
  EXPECT_THAT(rows.span<float>(), ElementsAre(3, 4, 5, 6, 7, 8));
  EXPECT_THAT(row.span<float>(), ElementsAre(6, 7, 8));
  EXPECT_EQ(row.shape(), (Shape{3}));
  row.data<float>()[0] = -1;
  EXPECT_EQ(flat.data<float>()[6], -1);
  EXPECT_TRUE(flat.shares_storage(t));
  EXPECT_EQ(t.slice(4, 4).count(), 0);
  EXPECT_EQ(count_up({5})[3].shape(), Shape{});
  EXPECT_EQ(item(count_up({5})[3]), 3);
}

TEST(Tensor, CloneHasBytesOfItsOwn) {
  const Tensor t = count_up({3}), copy = t.clone();
  t.data<float>()[1] = 9;
  EXPECT_THAT(copy.span<float>(), ElementsAre(0, 1, 2));
  EXPECT_FALSE(copy.shares_storage(t));
  EXPECT_TRUE(t.to(kCpu).shares_storage(t));
}

TEST(Tensor, FillAndCopy) {
  for (DType dtype : {DType::f32, DType::bf16, DType::f16, DType::f64})
    EXPECT_EQ(item(full({1}, 1.5, dtype)), 1.5) << dtype;
  EXPECT_THAT(zeros({3}, DType::i32).span<int32_t>(), ElementsAre(0, 0, 0));
  const Tensor target = zeros({3});
  copy_into(count_up({3}), target);
  EXPECT_THAT(target.span<float>(), ElementsAre(0, 1, 2));
  EXPECT_THROW(copy_into(count_up({4}), target), ShapeError);
  EXPECT_THROW(copy_into(zeros({3}, DType::f64), target), DTypeError);
}

TEST(Tensor, Refuses) {
  const Tensor t = count_up({4, 3});
  EXPECT_THROW(t.data<double>(), DTypeError);
  EXPECT_THROW(t.reshape({5}), ShapeError);
  EXPECT_THROW(t.slice(3, 5), ShapeError);
  EXPECT_THROW(t.slice(2, 1), ShapeError);
  EXPECT_THROW(t.slice(-1, 1), ShapeError);
  EXPECT_THROW(t[4], ShapeError);
  EXPECT_THROW(item(t), ShapeError);
  EXPECT_THROW(Tensor().raw(), Error);
  EXPECT_THROW(Tensor().device(), Error);
  EXPECT_THROW(tensor_of(std::span<const float>(std::vector<float>{1, 2}), {3}), ShapeError);
  EXPECT_THROW(Tensor({2}, DType::f32, Device{DeviceKind::cuda, 63}), DeviceError);
}

TEST(Storage, BorrowedBytesKeepTheLender) {
  auto lender = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3, 4});
  const std::weak_ptr<void> alive = lender;
  auto storage = std::make_shared<Storage>(lender->data(), 16, kCpu, lender);
  Tensor t(storage, 4, {3}, DType::f32);
  storage.reset();
  lender.reset();
  EXPECT_THAT(t.span<float>(), ElementsAre(2, 3, 4));
  t = {};
  EXPECT_TRUE(alive.expired());
}

TEST(Storage, RefusesWhatDoesNotFit) {
  const auto storage = std::make_shared<Storage>(16, kCpu);
  EXPECT_THROW(Tensor(storage, 4, {4}, DType::f32), ShapeError);  // beyond the end
  EXPECT_THROW(Tensor(storage, 2, {1}, DType::f32), ShapeError);  // not aligned
  EXPECT_THROW(Storage(storage->data(), 16, kCpu, nullptr), Error);
}

TEST(Storage, FreesWhatItAllocates) {
  const size_t before = backend(kCpu).bytes_in_use();
  {
    const Tensor t = zeros({1000});
    EXPECT_EQ(backend(kCpu).bytes_in_use(), before + 4000);
  }
  EXPECT_EQ(backend(kCpu).bytes_in_use(), before);
}

}  // namespace
}  // namespace dehvf
