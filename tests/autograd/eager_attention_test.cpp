// Attention written out against the fused op: values and every gradient.
#include "autograd/ops/eager_attention.h"

#include <numeric>

#include <gtest/gtest.h>

#include "autograd/ops/attention.h"
#include "core/random.h"

namespace dehvf {
namespace {

struct Case {
  std::vector<int64_t> lengths;
  int64_t heads, kv_heads;
  bool causal;
};

std::vector<Variable> leaves(const Case& c, int64_t dim) {
  const int64_t rows = std::reduce(c.lengths.begin(), c.lengths.end());
  std::vector<Variable> all;
  for (const int64_t heads : {c.heads, c.kv_heads, c.kv_heads})
    all.push_back(Variable::parameter(random_normal({rows, heads, dim}, 2, 1 + all.size(), DType::f64),
                                      concat("leaf ", all.size())));
  return all;
}

Tensor spans_of(const std::vector<int64_t>& lengths) {
  std::vector<int32_t> spans;
  int32_t from = 0;
  for (const int64_t length : lengths) {
    const auto count = int32_t(length);
    spans.insert(spans.end(), {from, count, from, count});
    from += count;
  }
  return tensor_of(spans).reshape({int64_t(lengths.size()), 4});
}

TEST(EagerAttention, IsTheFusedOne) {
  constexpr int64_t kDim = 7;
  for (const Case& c :
       {Case{{5, 5, 5}, 3, 3, true}, Case{{5, 5}, 4, 2, false}, Case{{3, 9, 9, 1, 4}, 3, 3, true},
        Case{{6, 0, 2, 2}, 6, 2, true}, Case{{1}, 1, 1, true}}) {
    const AttentionOptions options{.causal = c.causal, .scale = 0.4};
    const EagerAttention eager(c.lengths, c.heads, c.kv_heads, options, DType::f64, kCpu);
    const auto a = leaves(c, kDim), b = leaves(c, kDim);
    const Variable got = eager(a[0], a[1], a[2]),
                   want = attention(b[0], b[1], b[2], spans_of(c.lengths), options);
    ASSERT_EQ(got.shape(), want.shape());
    const Tensor upstream = random_normal(got.shape(), 1, 9, DType::f64);
    backward(got, upstream), backward(want, upstream);
    // Scores of about 10 in f64, sums over at most 9 keys.
    const auto expect_near = [&](const Tensor& x, const Tensor& y, const char* what) {
      for (int64_t i = 0; i < x.count(); ++i)
        ASSERT_NEAR(x.data<double>()[i], y.data<double>()[i], 1e-11)
            << what << " " << i << " of " << c.lengths.size() << " spans";
    };
    expect_near(got.value(), want.value(), "value");
    for (size_t i = 0; i < a.size(); ++i) expect_near(a[i].grad(), b[i].grad(), "gradient");
  }
}

TEST(EagerAttention, TakesTheRowsItWasMadeFor) {
  const std::vector<int64_t> lengths{3, 4};
  const EagerAttention eager(lengths, 2, 2, {}, DType::f32, kCpu);
  const Variable x(zeros({6, 2, 8}));
  EXPECT_THROW(eager(x, x, x), ShapeError);
}

}  // namespace
}  // namespace dehvf
