#include "core/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "support/parity.h"

namespace dehvf {
namespace {

struct Case {
  std::string_view what;
  int64_t heads, kv_heads, dim;
  bool causal;
  int64_t q_rows, k_rows;
  std::vector<int32_t> spans;
};

const std::vector<Case> kCases = {
    {"one query, one key", 1, 1, 64, true, 1, 1, {0, 1, 0, 1}},
    {"packed causal texts of 7, 1 and 65", 2, 2, 64, true, 73, 73, {0, 7, 0, 7, 7, 1, 7, 1, 8, 65, 8, 65}},
    {"grouped heads", 4, 1, 72, true, 33, 33, {0, 33, 0, 33}},
    {"full, 63 and 66", 2, 1, 80, false, 129, 129, {0, 63, 0, 63, 63, 66, 63, 66}},
    {"few queries at the end of many keys", 2, 1, 128, true, 5, 200, {0, 3, 0, 135, 3, 2, 135, 65}},
    {"more queries than keys: the first see none", 1, 1, 64, true, 9, 4, {0, 9, 0, 4}},
    {"a shared prefix, gaps and empty spans",
     2,
     2,
     64,
     false,
     20,
     40,
     {2, 5, 0, 12, 9, 0, 3, 4, 10, 6, 4, 33, 17, 2, 0, 0}},
    {"a text being continued, its keys shared by two blocks", 4, 2, 64, true, 2, 530, {0, 2, 0, 530}},
    {"odd dim", 2, 1, 20, true, 40, 40, {0, 40, 0, 40}},
};

double norm_of_rows(const Tensor& x) {  // the largest norm of a head's row
  double most = 0;
  const int64_t dim = x.size(-1);
  for (int64_t r = 0; r < x.count() / dim; ++r) {
    double squares = 0;
    for (int64_t d = 0; d < dim; ++d) squares += std::pow(x.data<double>()[r * dim + d], 2);
    most = std::max(most, squares);
  }
  return std::sqrt(most);
}

// lse with minus infinity made comparable.
Tensor finite(const Tensor& lse) {
  const Tensor result = exact(lse).clone();
  for (double& v : result.span<double>())
    if (std::isinf(v) && v < 0) v = -1e3;
  return result;
}

bool own_keys(const std::vector<int32_t>& spans) {
  std::vector<std::pair<int32_t, int32_t>> ranges;
  for (size_t s = 0; s < spans.size(); s += 4)
    if (spans[s + 3] > 0) ranges.emplace_back(spans[s + 2], spans[s + 2] + spans[s + 3]);
  std::ranges::sort(ranges);
  for (size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].first < ranges[i - 1].second) return false;
  return true;
}

int64_t longest(const std::vector<int32_t>& spans) {
  int64_t most = 0;
  for (size_t s = 0; s < spans.size(); s += 4)
    most = std::max<int64_t>(most, std::max(spans[s + 1], spans[s + 3]));
  return most;
}

class AttentionKernels : public Parity {
 protected:
  // False where the variant does not take the arguments.
  template <class Tag, class... Args>
  static bool ran(const KernelKey& key, const Args&... args) {
    const auto& kernel = Registry<Tag>::instance().find(key);
    if (!kernel.takes(args...)) return false;
    kernel(args...);
    return true;
  }
  // Forward and backward of one case by one variant. Every tensor but q begins `shift` elements behind an
  // aligned address.
  void check(const KernelKey& key, const Case& c, DType dtype, int64_t shift = 0) {
    const Shape q_shape{c.q_rows, c.heads, c.dim}, k_shape{c.k_rows, c.kv_heads, c.dim};
    const auto draw = [&](const Shape& shape, uint64_t name) {
      return drawn(shape.count(), name == 1 ? 0 : shift, dtype, device(),
                   random_key({name, uint64_t(c.q_rows)}), 1)
          .reshape(shape);
    };
    const auto poisoned = [&](const Shape& shape) {
      return full({shift + shape.count()}, NAN, dtype, device())
          .slice(shift, shift + shape.count())
          .reshape(shape);
    };
    const Tensor q = draw(q_shape, 1), k = draw(k_shape, 2), v = draw(k_shape, 3), dout = draw(q_shape, 4);
    const Tensor host_spans = tensor_of(c.spans).reshape({int64_t(c.spans.size()) / 4, 4});
    const Tensor spans = host_spans.to(device());
    const AttentionOptions options{.causal = c.causal,
                                   .scale = 2 / std::sqrt(double(c.dim)),
                                   .own_keys = own_keys(c.spans),
                                   .longest = longest(c.spans)};
    const Attended got{poisoned(q_shape), full({c.heads, c.q_rows}, NAN, DType::f32, device())};
    if (!ran<Attention>(key, q, k, v, spans, options, got.out, got.lse)) return;

    // What a 16-bit kernel may round between: the weights once, and for gradients the slopes once.
    const Tensor eq = exact(q), ek = exact(k), ev = exact(v), edout = exact(dout);
    const Attended want = attention(eq, ek, ev, host_spans, options);
    const double score = options.scale * norm_of_rows(eq) * norm_of_rows(ek);
    const double keys = double(c.k_rows), queries = double(c.q_rows * c.heads / c.kv_heads);
    const Bound forward{.additions = double(c.dim) + keys, .magnitude = (1 + score) * 1.0, .stores = 2};
    expect_close(got.out, want.out, forward, concat("out of ", key, ", ", c.what));
    expect_close(cast(finite(got.lse), DType::f32), finite(want.lse),
                 {.additions = double(c.dim) + keys, .magnitude = 1 + score},
                 concat("lse of ", key, ", ", c.what));

    // Backward is given the forward's own results, rounded: they are inputs like the others.
    const Attended rounded{exact(got.out), exact(got.lse)};
    const AttentionGrads wanted{full(q_shape, NAN, DType::f64), full(k_shape, NAN, DType::f64),
                                full(k_shape, NAN, DType::f64)};
    attention_backward(eq, ek, ev, host_spans, options, rounded, edout, wanted);
    const AttentionGrads grads{poisoned(q_shape), poisoned(k_shape), poisoned(k_shape)};
    if (!ran<AttentionBackward>(key, q, k, v, spans, options, got.out, got.lse, dout, grads)) return;
    const double slope = 2 * options.scale * norm_of_rows(edout) * norm_of_rows(ev) * (1 + score);
    expect_close(grads.q, wanted.q, {double(c.dim) + keys, slope * norm_of_rows(ek), 2},
                 concat("dq of ", key, ", ", c.what));
    expect_close(grads.k, wanted.k,
                 {double(c.dim) + queries, slope * norm_of_rows(eq) * std::sqrt(queries), 2},
                 concat("dk of ", key, ", ", c.what));
    expect_close(grads.v, wanted.v,
                 {double(c.dim) + queries, (1 + score) * norm_of_rows(edout) * std::sqrt(queries), 2},
                 concat("dv of ", key, ", ", c.what));
  }
};

TEST_P(AttentionKernels, ForwardAndBackward) {
  for (const KernelKey& key : variants<Attention>())
    for (const Case& c : kCases)
      for (DType dtype : kKernelDtypes)
        if (affordable(c.heads * c.q_rows * c.k_rows * c.dim, dtype)) check(key, c, dtype);
}

TEST_P(AttentionKernels, ForwardAndBackwardAtAnyAddress) {
  for (const KernelKey& key : variants<Attention>())
    for (DType dtype : {DType::f32, DType::bf16}) check(key, kCases[2], dtype, 1);
}

// With one block for the keys, and with several.
TEST_P(AttentionKernels, PassNanThrough) {
  for (const KernelKey& key : variants<Attention>())
    for (const int32_t keys : {9, 530}) {
      const Shape shape{2, 2, 64};
      const Tensor host = full(shape, 0.5, DType::f32);
      host.data<float>()[64] = NAN;  // of row 0, head 1
      const Tensor q = cast(host, DType::bf16).to(device()),
                   k = full({keys, 2, 64}, 0.25, DType::bf16, device());
      const Attended got{full(shape, 0, DType::bf16, device()), full({2, 2}, 0, DType::f32, device())};
      const Tensor spans = tensor_of(std::vector<int32_t>{0, 2, 0, keys}).reshape({1, 4}).to(device());
      if (!ran<Attention>(key, q, k, k, spans, AttentionOptions{}, got.out, got.lse)) continue;
      const Tensor out = exact(got.out), lse = exact(got.lse);
      for (int64_t row_and_head = 0; row_and_head < 4; ++row_and_head) {
        const bool poisoned = row_and_head == 1;
        EXPECT_EQ(std::isnan(out.data<double>()[64 * row_and_head + 63]), poisoned) << key << ", " << keys;
        EXPECT_EQ(std::isnan(lse.data<double>()[row_and_head % 2 * 2 + row_and_head / 2]), poisoned)
            << key << ", " << keys;
      }
    }
}

TEST_P(AttentionKernels, FormOnlyWhatIsWantedAndRepeatBitForBit) {
  const Case& c = kCases[1];
  for (const KernelKey& key : variants<Attention>()) {
    const Shape shape{c.q_rows, c.heads, c.dim};
    const Tensor q = drawn(shape.count(), 0, DType::bf16, device(), 5, 1).reshape(shape);
    const Tensor spans = tensor_of(c.spans).reshape({3, 4}).to(device());
    const AttentionOptions options{.causal = true, .scale = 0.2, .own_keys = true};
    const auto results = [&](bool all) {
      const auto empty = [&] { return full(shape, NAN, DType::bf16, device()); };
      const Attended attended{empty(), full({c.heads, c.q_rows}, NAN, DType::f32, device())};
      ran<Attention>(key, q, q, q, spans, options, attended.out, attended.lse);
      const AttentionGrads grads{all ? empty() : Tensor(), all ? empty() : Tensor(), empty()};
      ran<AttentionBackward>(key, q, q, q, spans, options, attended.out, attended.lse, q, grads);
      return std::pair{attended.out.to(kCpu), grads.v.to(kCpu)};
    };
    const auto first = results(true), second = results(false);
    EXPECT_EQ(std::memcmp(first.first.raw(), second.first.raw(), first.first.bytes()), 0) << key;
    EXPECT_EQ(std::memcmp(first.second.raw(), second.second.raw(), first.second.bytes()), 0) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(Places, AttentionKernels, kAsyncPlaces, place_name);

}  // namespace
}  // namespace dehvf
