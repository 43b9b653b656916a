// What a library of padded samples is told of spans, and its statistics there and back.
#include "cuda/kernels/ragged_spans.h"

#include <cmath>

#include <gtest/gtest.h>

#include "core/ops/elementwise.h"

namespace dehvf {
namespace {

constexpr Device kEmulator{DeviceKind::emulator, 0};
constexpr int64_t kHeads = 3, kKvHeads = 1, kDim = 8, kQueries = 170, kKeys = 300, kBound = 140;

// Gaps, a span without keys, one without queries, one whose first two queries see none when causal.
const std::vector<int32_t> kSpans{1, 5, 2, 9, 6, 0, 11, 3, 7, 2, 0, 0, 10, 6, 14, 4, 17, 131, 19, 257};
constexpr int64_t kCount = 5;

struct Span {
  int64_t q, q_count, k, k_count;
};
std::vector<Span> that_see(bool causal) {
  std::vector<Span> spans;
  for (size_t s = 0; s < size_t(kCount); ++s) {
    Span span{kSpans[4 * s], kSpans[4 * s + 1], kSpans[4 * s + 2], kSpans[4 * s + 3]};
    while (span.q_count > 0 && (causal ? span.k_count - span.q_count + 1 : span.k_count) <= 0)
      ++span.q, --span.q_count;
    if (span.q_count == 0) span.k_count = 0;
    spans.push_back(span);
  }
  return spans;
}

Tensor device_spans() { return tensor_of(kSpans).reshape({kCount, 4}).to(kEmulator); }

Tensor counted(const Shape& shape, DType dtype) {
  const Tensor x(shape, DType::f32);
  for (int64_t i = 0; i < x.count(); ++i) x.data<float>()[i] = float(i % 251 + 1);
  return cast(x, dtype).to(kEmulator);
}

class RaggedSpans : public testing::TestWithParam<bool> {
 protected:
  const AttentionOptions options_{.causal = GetParam()};
  const std::vector<Span> spans_ = that_see(GetParam());

  // Index of the span that holds the row, or -1.
  int64_t holder(int64_t row, bool keys) const {
    for (int64_t s = 0; s < kCount; ++s) {
      const Span& span = spans_[size_t(s)];
      const int64_t begin = keys ? span.k : span.q;
      if (row >= begin && row < begin + (keys ? span.k_count : span.q_count)) return s;
    }
    return -1;
  }
  void expect_cleared(const Tensor& cleared, const Tensor& before, bool keys) const {
    const Tensor x = cast(cleared.to(kCpu), DType::f32), was = cast(before.to(kCpu), DType::f32);
    const int64_t width = x.size(1) * x.size(2);
    for (int64_t i = 0; i < x.count(); ++i)
      ASSERT_EQ(x.data<float>()[i], holder(i / width, keys) < 0 ? 0 : was.data<float>()[i]) << i / width;
  }
};

TEST_P(RaggedSpans, CountsAndOffsets) {
  const auto made =
      cuda::ragged_spans(Tensor({kQueries, kHeads, kDim}, DType::bf16, kEmulator),
                         Tensor({kKeys, kKvHeads, kDim}, DType::bf16, kEmulator), device_spans(), options_);
  const Tensor q_counts = made.q_counts.to(kCpu), k_counts = made.k_counts.to(kCpu);
  const Tensor q_offsets = made.q_offsets.to(kCpu), k_offsets = made.k_offsets.to(kCpu);
  for (size_t s = 0; s < spans_.size(); ++s) {
    EXPECT_EQ(q_counts.data<int32_t>()[s], spans_[s].q_count) << s;
    EXPECT_EQ(k_counts.data<int32_t>()[s], spans_[s].k_count) << s;
    if (spans_[s].q_count == 0) continue;  // then it begins anywhere
    EXPECT_EQ(q_offsets.data<int64_t>()[s], spans_[s].q * kHeads * kDim) << s;
    EXPECT_EQ(k_offsets.data<int64_t>()[s], spans_[s].k * kKvHeads * kDim) << s;
  }
  EXPECT_EQ(q_offsets.data<int64_t>()[kCount], (17 + 131) * kHeads * kDim);
  EXPECT_EQ(k_offsets.data<int64_t>()[kCount], (19 + 257) * kKvHeads * kDim);
}

TEST_P(RaggedSpans, StatisticsComeOutOfTheirPadding) {
  const Tensor padded = counted({kCount, kHeads, kBound}, DType::f32);
  const Tensor before = counted({kQueries, kHeads, kDim}, DType::bf16), out = before.clone();
  const Tensor lse({kHeads, kQueries}, DType::f32, kEmulator);
  cuda::unpad_attention(padded, device_spans(), options_, out, lse);
  const Tensor host = lse.to(kCpu), from = padded.to(kCpu);
  for (int64_t head = 0; head < kHeads; ++head)
    for (int64_t row = 0; row < kQueries; ++row) {
      const int64_t s = holder(row, false);
      const float want =
          s < 0 ? -INFINITY : from.data<float>()[(s * kHeads + head) * kBound + row - spans_[size_t(s)].q];
      ASSERT_EQ(host.data<float>()[head * kQueries + row], want) << head << ", " << row;
    }
  expect_cleared(out, before, false);
}

TEST_P(RaggedSpans, StatisticsArePaddedWithZeros) {
  const Tensor lse = counted({kHeads, kQueries}, DType::f32);
  const Tensor padded = full({kCount, kHeads, kBound}, NAN, DType::f32, kEmulator);
  const Tensor before_q = counted({kQueries, kHeads, kDim}, DType::f16),
               before_k = counted({kKeys, kKvHeads, kDim}, DType::f16);
  const AttentionGrads grads{before_q.clone(), {}, before_k.clone()};
  cuda::pad_attention(lse, device_spans(), options_, padded, grads);
  const Tensor host = padded.to(kCpu), from = lse.to(kCpu);
  for (int64_t i = 0; i < host.count(); ++i) {
    const Span& span = spans_[size_t(i / kBound / kHeads)];
    const int64_t head = i / kBound % kHeads, at = i % kBound;
    ASSERT_EQ(host.data<float>()[i],
              at < span.q_count ? from.data<float>()[head * kQueries + span.q + at] : 0)
        << i;
  }
  expect_cleared(grads.q, before_q, false);
  expect_cleared(grads.v, before_k, true);
}

INSTANTIATE_TEST_SUITE_P(Causal, RaggedSpans, testing::Bool());

}  // namespace
}  // namespace dehvf
