// Fused ops against their composed forms: values and every gradient, in f64, far tighter than differences
// allow.
#include "autograd/reference.h"

#include <gtest/gtest.h>

#include "autograd/ops/attention.h"
#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/norm.h"
#include "autograd/ops/softmax.h"
#include "core/random.h"

namespace dehvf {
namespace {

using Inputs = std::span<const Variable>;
using Fn = std::function<Variable(Inputs)>;

void expect_close(const Tensor& got, const Tensor& want, const std::string& what) {
  ASSERT_EQ(got.shape(), want.shape()) << what;
  double scale = 1e-3, worst = 0;
  for (int64_t i = 0; i < want.count(); ++i) {
    scale = std::max(scale, std::fabs(want.data<double>()[i]));
    worst = std::max(worst, std::fabs(got.data<double>()[i] - want.data<double>()[i]));
  }
  EXPECT_LE(worst, 1e-12 * scale) << what;
}

void compare(const std::vector<Shape>& shapes, const Fn& fused, const Fn& composed) {
  std::vector<Variable> a, b;
  for (size_t i = 0; i < shapes.size(); ++i) {
    const Tensor value = random_normal(shapes[i], 1, random_key({11, i}), DType::f64);
    a.push_back(Variable::parameter(value, concat("input ", i)));
    b.push_back(Variable::parameter(value, concat("input ", i)));
  }
  const Variable got = fused(a), want = composed(b);
  expect_close(got.value(), want.value(), "value");
  const Tensor upstream = random_normal(got.shape(), 1, 12, DType::f64);
  backward(got, upstream);
  backward(want, upstream);
  for (size_t i = 0; i < shapes.size(); ++i) {
    ASSERT_TRUE(a[i].grad() && b[i].grad()) << a[i].name();
    expect_close(a[i].grad(), b[i].grad(), a[i].name());
  }
}

TEST(Reference, Norms) {
  compare(
      {{5, 3, 67}, {67}}, [](Inputs in) { return rms_norm(in[0], in[1], 1e-5); },
      [](Inputs in) { return rms_norm_reference(in[0], in[1], 1e-5); });
  compare(
      {{5, 3, 67}, {67}, {67}}, [](Inputs in) { return layer_norm(in[0], in[1], in[2], 1e-5); },
      [](Inputs in) { return layer_norm_reference(in[0], in[1], in[2], 1e-5); });
}

TEST(Reference, Softmax) {
  compare(
      {{7, 3, 29}}, [](Inputs in) { return softmax(in[0]); },
      [](Inputs in) { return softmax_reference(in[0]); });
}

TEST(Reference, SwiGlu) {
  compare(
      {{7, 29}, {7, 29}}, [](Inputs in) { return swiglu(in[0], in[1]); },
      [](Inputs in) { return swiglu_reference(in[0], in[1]); });
}

TEST(Reference, VisualRows) {
  for (const bool factored : {true, false}) {
    const auto rows_of = [=](Inputs in) {
      VisualRows rows{in[1], in[2], in[3], in[4]};
      if (factored) rows.basis = in[5], rows.bias = in[6];
      rows.plan = {tensor_of(std::vector<int32_t>{0, 3, 4, 79, 79, 86}),
                   tensor_of(std::vector<int32_t>{1, -1, 0, 1, 0}),
                   0.3,
                   0.7,
                   Activation::silu,
                   {0.2, 1, 2, 3, tensor_of(std::vector<int64_t>{5, 6, 7, 8, 9})}};
      return rows;
    };
    const int64_t width = 23, rank = factored ? 6 : width;
    std::vector<Shape> shapes{{86, width}, {13, width}, {13, width}, {2, 9, rank}, {2, 9, rank}};
    if (factored) shapes.insert(shapes.end(), {{width, rank}, {width}});
    compare(
        shapes, [&](Inputs in) { return visual_rows(in[0], rows_of(in)); },
        [&](Inputs in) {
          const VisualRows rows = rows_of(in);
          return visual_rows_reference(
              in[0], rows, dropout_mask(13, rows.plan.sample_offsets, rows.plan.dropout, DType::f64));
        });
  }
}

TEST(Reference, Attention) {
  for (const bool causal : {true, false}) {
    const AttentionOptions options{causal, 0.4};
    // The third span continues 7 cached keys; the second shares the keys of the first.
    const auto spans = [] {
      return tensor_of(
          std::span<const int32_t>(std::vector<int32_t>{0, 11, 0, 11, 11, 3, 0, 11, 14, 2, 11, 9}), {3, 4});
    };
    compare(
        {{16, 6, 5}, {20, 2, 5}, {20, 2, 5}},
        [&](Inputs in) { return attention(in[0], in[1], in[2], spans(), options); },
        [&](Inputs in) { return attention_reference(in[0], in[1], in[2], spans(), options); });
  }
}

TEST(Reference, CrossEntropy) {
  const Tensor targets = tensor_of(std::vector<int32_t>{2, 0, 36, 5, 5});
  compare(
      {{5, 13}, {37, 13}}, [&](Inputs in) { return cross_entropy(in[0], in[1], targets); },
      [&](Inputs in) { return cross_entropy_reference(in[0], in[1], targets); });
}

}  // namespace
}  // namespace dehvf
