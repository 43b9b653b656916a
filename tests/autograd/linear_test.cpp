// A product with its epilogue is the composed ops: values, gradients, and what is kept for them.
#include "autograd/ops/linear.h"

#include <cstring>

#include <gtest/gtest.h>

#include "autograd/ops/elementwise.h"
#include "core/kernel.h"
#include "core/random.h"

namespace dehvf {
namespace {

constexpr int64_t kRows = 37, kIn = 29, kOut = 53;

using Layer = std::function<Variable(const std::vector<Variable>&)>;

// x, weight, another weight, bias, residual
std::vector<Variable> leaves(DType dtype) {
  std::vector<Variable> result;
  uint64_t key = 0;
  for (const Shape& shape :
       {Shape{kRows, kIn}, Shape{kOut, kIn}, Shape{kOut, kIn}, Shape{kOut}, Shape{kRows, kOut}})
    result.push_back(Variable::parameter(random_normal(shape, 1, ++key, dtype), concat("leaf ", key)));
  return result;
}

// Value and all gradients.
std::vector<Tensor> run_both_ways(const Layer& layer, DType dtype) {
  const auto all = leaves(dtype);
  const Variable y = layer(all);
  backward(y, random_normal(y.shape(), 1, 9, dtype));
  std::vector<Tensor> results{y.value()};
  for (const Variable& leaf : all) results.push_back(leaf.grad());
  return results;
}

void expect_same_bits(const Layer& fused, const Layer& composed) {
  for (DType dtype : {DType::f64, DType::f32}) {
    const auto got = run_both_ways(fused, dtype), want = run_both_ways(composed, dtype);
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(got[i].defined(), want[i].defined()) << dtype << ", result " << i;
      if (want[i])
        EXPECT_EQ(std::memcmp(got[i].raw(), want[i].raw(), want[i].bytes()), 0) << dtype << ", result " << i;
    }
  }
}

TEST(FusedLinear, IsTheComposedOne) {
  expect_same_bits([](const auto& in) { return linear(in[0], in[1], in[3]); },
                   [](const auto& in) { return add_row(linear(in[0], in[1]), in[3]); });
  for (Activation kind : {Activation::gelu, Activation::gelu_quick, Activation::relu})
    expect_same_bits(
        [kind](const auto& in) {
          return linear(in[0], in[1], {.bias = in[3], .activation = kind, .residual = in[4]});
        },
        [kind](const auto& in) { return add(activate(add_row(linear(in[0], in[1]), in[3]), kind), in[4]); });
  expect_same_bits([](const auto& in) { return linear(in[0], in[1], {.residual = in[4]}); },
                   [](const auto& in) { return add(linear(in[0], in[1]), in[4]); });
}

TEST(FusedLinear, SwiGluIsTheComposedOne) {
  expect_same_bits([](const auto& in) { return swiglu(in[0], in[1], in[2]); },
                   [](const auto& in) {
                     const auto both = linears(in[0], {{in[1]}, {in[2]}});
                     return swiglu(both[0], both[1]);
                   });
}

TEST(FusedLinear, KeepsNothingWithoutATape) {
  const Layer layer = [](const auto& in) {
    return linear(in[0], in[1], {.bias = in[3], .activation = Activation::gelu});
  };
  const Layer glu = [](const auto& in) { return swiglu(in[0], in[1], in[2]); };
  const auto casts = [](const Layer& of) {
    const auto in = leaves(DType::f32);
    const Trace trace;
    (void)of(in);
    const auto line = trace.lines.find("cast");
    return line == trace.lines.end() ? 0 : line->second.calls;
  };
  // On the CPU each tensor that a product writes besides its sums, which stand in its result, is a cast of
  // those.
  EXPECT_EQ(casts(layer), 1);
  EXPECT_EQ(casts(glu), 2);
  const NoGrad frozen;
  EXPECT_EQ(casts(layer), 0);
  EXPECT_EQ(casts(glu), 0);
}

}  // namespace
}  // namespace dehvf
