// Attention: its statistics, bad spans, and what op cases cannot say.
#include "autograd/ops/attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/random.h"

namespace dehvf {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

Tensor spans_of(const std::vector<int32_t>& values) {
  return tensor_of(std::span<const int32_t>(values), {int64_t(values.size() / 4), 4});
}

TEST(Attention, RefusesSpansOutsideItsTensors) {
  const Tensor q = zeros({5, 2, 4}), k = zeros({7, 1, 4});
  const auto with = [&](const std::vector<int32_t>& spans) { attention(q, k, k, spans_of(spans), {}); };
  EXPECT_NO_THROW(with({0, 5, 0, 7}));
  EXPECT_THAT(
      [&] {
        with({0, 2, 0, 7, 3, 3, 0, 7});
      },
      ThrowsMessage<ShapeError>(HasSubstr("span 1 reads queries [3, +3) of 5 and keys [0, +7) of 7")));
  EXPECT_THAT([&] { with({0, 2, 4, 4}); }, ThrowsMessage<ShapeError>(HasSubstr("keys [4, +4) of 7")));
  EXPECT_THAT(
      [&] {
        with({2, 3, 0, 7, 0, 3, 0, 7});
      },
      ThrowsMessage<ShapeError>(HasSubstr("spans 1 and 0 share query 2")));
  EXPECT_THROW(with({-1, 1, 0, 7}), ShapeError);
  EXPECT_THROW(with({0, -1, 0, 7}), ShapeError);
  EXPECT_THROW(attention(zeros({5, 3, 4}), zeros({7, 2, 4}), zeros({7, 2, 4}), spans_of({}), {}), ShapeError);
  EXPECT_THROW(attention(q, zeros({7, 1, 3}), k, spans_of({}), {}), ShapeError);
  EXPECT_THROW(attention(q, zeros({7, 1, 4}, DType::bf16), k, spans_of({}), {}), DTypeError);
}

TEST(Attention, KeepsTheLogOfTheSum) {
  const Tensor q = random_normal({3, 1, 4}, 1, 1), k = random_normal({40, 1, 4}, 1, 2);
  const Attended result = attention(q, k, k, spans_of({1, 1, 0, 40}), {.scale = 0.7});
  double sum = 0;
  for (int64_t j = 0; j < 40; ++j) {
    double score = 0;
    for (int64_t d = 0; d < 4; ++d)
      score += double(q.data<float>()[4 + d]) * double(k.data<float>()[4 * j + d]);
    sum += std::exp(0.7 * score);
  }
  EXPECT_NEAR(result.lse.data<float>()[1], std::log(sum), 1e-6);
  EXPECT_EQ(result.lse.data<float>()[0], -INFINITY);
  EXPECT_EQ(result.lse.data<float>()[2], -INFINITY);
}

TEST(Attention, StandsLargeScores) {
  const Tensor q = full({2, 1, 1}, 1000), k = tensor_of(std::vector<float>{-3, 1, 2}).reshape({3, 1, 1});
  const AttentionOptions options{.causal = true};
  const Attended result = attention(q, k, k, spans_of({0, 2, 0, 3}), options);
  EXPECT_EQ(result.out.data<float>()[0], 1);
  EXPECT_EQ(result.out.data<float>()[1], 2);
  const AttentionGrads grads{.v = Tensor(k.shape(), k.dtype())};  // the others are not wanted
  attention_backward(q, k, k, spans_of({0, 2, 0, 3}), options, result, full({2, 1, 1}, 1), grads);
  EXPECT_THAT(std::vector<float>(grads.v.data<float>(), grads.v.data<float>() + 3),
              testing::Pointwise(testing::FloatNear(1e-30f), {0, 1, 1}));
}

}  // namespace
}  // namespace dehvf
