// Cross entropy and greedy choice: bad targets, far logits, memory, ties, frozen heads.
#include "autograd/ops/cross_entropy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/ops/cross_entropy.h"
#include "core/random.h"

namespace dehvf {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

Tensor ids(const std::vector<int32_t>& values) { return tensor_of(values); }

TEST(CrossEntropy, NamesATargetOutsideTheVocabulary) {
  const Tensor hidden = zeros({3, 4}), head = zeros({10, 4});
  EXPECT_THAT(
      [&] {
        cross_entropy(hidden, head, ids({0, 10, 3}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("target 10 at row 1, the vocabulary has 10")));
  EXPECT_THROW(cross_entropy(hidden, head, ids({0, 1, -100})), ShapeError);
  EXPECT_THROW(cross_entropy(hidden, head, ids({0, 1})), ShapeError);
  EXPECT_THROW(cross_entropy(hidden, zeros({10, 5}), ids({0, 1, 2})), ShapeError);
}

TEST(CrossEntropy, StandsLogitsFarApart) {
  const Variable hidden = Variable::parameter(full({2, 1}, 1), "hidden");
  const Tensor head = tensor_of(std::vector<float>{-5000, 5000, 0}).reshape({3, 1});
  const Variable losses = cross_entropy(hidden, head, ids({1, 0}));
  EXPECT_EQ(losses.value().data<float>()[0], 0);
  EXPECT_EQ(losses.value().data<float>()[1], 10000);
  backward(losses);
  EXPECT_EQ(hidden.grad().data<float>()[1], 10000);
}

TEST(CrossEntropy, HoldsABlockOfLogitsAtMost) {
  const int64_t rows = 3000, vocabulary = 5000;
  const Tensor hidden = random_normal({rows, 8}, 1, 1), head = random_normal({vocabulary, 8}, 1, 2);
  const size_t before = backend(kCpu).bytes_in_use(), peak = backend(kCpu).peak_bytes();
  backward(cross_entropy(Variable::parameter(hidden, "hidden"), head, ids(std::vector<int32_t>(rows, 7))));
  EXPECT_LT(backend(kCpu).peak_bytes(),
            std::max(peak + 1, before + size_t(rows * vocabulary) * sizeof(float) / 4));
}

TEST(CrossEntropy, LooksAFrozenHeadUpAgain) {
  const Tensor weight = random_normal({11, 4}, 1, 1);
  int looks = 0;
  const Variable head = Variable::frozen([&] { return ++looks, weight; }, weight.shape(), DType::f32, "head");
  const Variable hidden = Variable::parameter(random_normal({2, 4}, 1, 2), "hidden");
  const Variable losses = cross_entropy(hidden, head, ids({3, 4}));
  EXPECT_EQ(looks, 1);
  backward(losses);
  EXPECT_EQ(looks, 2);
}

TEST(Argmax, TakesTheLowestOfEqualOnes) {
  const Tensor x = tensor_of(std::vector<float>{1, 3, 3, 2, -1, -1, -1, -2, 0, 0, 0, 5}).reshape({3, 4});
  EXPECT_THAT(argmax_rows(x).span<int32_t>(), testing::ElementsAre(1, 0, 3));
  EXPECT_THROW(argmax_rows(zeros({3, 0})), ShapeError);
}

}  // namespace
}  // namespace dehvf
