// Runs every op case through the checks of architecture.md 8: value, gradient, wanted, sentinel, repeat, can
// fail.
#include <algorithm>

#include <gtest/gtest.h>

#include "autograd/tape.h"
#include "core/kernel.h"
#include "core/ops/elementwise.h"
#include "core/parallel.h"
#include "core/random.h"
#include "op_cases.h"

namespace dehvf {

std::vector<OpCase>& op_cases() {
  static std::vector<OpCase> cases;
  return cases;
}

Op plain(const Shape& shape, std::function<void(const Doubles&, std::span<double>)> fn) {
  return [shape, fn](std::span<const Variable> inputs) {
    std::vector<Tensor> kept;
    Doubles in;
    for (const Variable& input : inputs) {
      const Tensor value = input.value();
      if (value.dtype() == DType::i32) {
        Tensor wide(value.shape(), DType::f64);
        std::copy_n(value.data<int32_t>(), value.count(), wide.data<double>());
        kept.push_back(wide);
      } else {
        kept.push_back(value);
      }
      in.push_back(kept.back().span<double>());
    }
    Tensor out(shape, DType::f64);
    fn(in, out.span<double>());
    return Variable(out);
  };
}

namespace {

struct Drawn {
  std::vector<Tensor> rounded;  // in the case's dtype
  std::vector<Tensor> exact;    // the same values in f64
};

Drawn draw(const OpCase& c, DType dtype, uint64_t seed) {
  Drawn drawn;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const OpInput& input = c.inputs[i];
    if (!input.indices.empty()) {
      const Tensor indices = tensor_of(std::span<const int32_t>(input.indices), input.shape);
      drawn.rounded.push_back(indices);
      drawn.exact.push_back(indices);
      continue;
    }
    const DType storage = !input.statistics ? dtype : dtype == DType::f64 ? DType::f64 : DType::f32;
    const Tensor values =
        random_uniform(input.shape, input.low, input.high, random_key({seed, i}), DType::f64);
    drawn.rounded.push_back(cast(values, storage));
    drawn.exact.push_back(cast(drawn.rounded.back(), DType::f64));
  }
  return drawn;
}

std::vector<Variable> constants(std::span<const Tensor> tensors) { return {tensors.begin(), tensors.end()}; }

std::vector<Variable> parameters(const OpCase& c, std::span<const Tensor> tensors, int only = -1) {
  std::vector<Variable> result;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const bool wanted = c.inputs[i].wants_grad && c.inputs[i].indices.empty() && (only < 0 || only == int(i));
    result.push_back(wanted ? Variable::parameter(tensors[i], c.inputs[i].name) : Variable(tensors[i]));
  }
  return result;
}

double epsilon(DType dtype) {  // half a unit in the last place: one rounding
  switch (dtype) {
    case DType::bf16:
      return 0x1p-9;
    case DType::f16:
      return 0x1p-12;
    case DType::f32:
      return 0x1p-25;
    default:
      return 0x1p-54;
  }
}

double largest(std::span<const double> values) {
  double result = 0;
  for (double v : values) result = std::max(result, std::fabs(v));
  return result;
}

// |out - ref| <= c (eps_f32 sqrt(K) ||a|| ||b||) + one rounding per store, c = 4 (contracts.md 9).
double bound(const OpCase& c, DType dtype, double reference, double scale) {
  const double accumulate = dtype == DType::f64 ? 0x1p-53 : 0x1p-24;
  const double magnitude = c.magnitude > 0 ? c.magnitude : scale;
  const double smallest = dtype == DType::f16 ? 0x1p-25 : 0;  // below it f16 has fixed steps
  return 4 * accumulate * std::sqrt(c.additions) * magnitude + smallest +
         2 * epsilon(dtype) * (std::fabs(reference) + (c.stores - 1) * magnitude);
}

// Index of the first element outside its bound, or -1.
int64_t first_wrong(const OpCase& c, DType dtype, std::span<const double> got, std::span<const double> want) {
  const double scale = largest(want);
  for (size_t i = 0; i < want.size(); ++i)
    if (!(std::fabs(got[i] - want[i]) <= bound(c, dtype, want[i], scale))) return int64_t(i);
  return -1;
}

class OpTest : public testing::TestWithParam<OpCase> {};

TEST_P(OpTest, Value) {
  const OpCase& c = GetParam();
  std::vector<DType> dtypes{DType::f64, DType::f32};
  if (c.low_precision) dtypes.insert(dtypes.end(), {DType::bf16, DType::f16});
  for (DType dtype : dtypes) {
    const Drawn drawn = draw(c, dtype, 1);
    const Variable out = c.op(constants(drawn.rounded)), want = c.reference(constants(drawn.exact));
    ASSERT_EQ(out.shape(), want.shape()) << dtype;
    const Tensor got = cast(out.value(), DType::f64), reference = want.value();
    const int64_t wrong = first_wrong(c, dtype, got.span<double>(), reference.span<double>());
    ASSERT_EQ(wrong, -1) << dtype << ": element " << wrong << " is " << got.data<double>()[wrong]
                         << ", wanted " << reference.data<double>()[wrong] << " within "
                         << bound(c, dtype, reference.data<double>()[wrong],
                                  largest(reference.span<double>()));
    // The comparison must be able to fail: one element moved by four bounds, and all zeros.
    std::vector<double> broken(got.span<double>().begin(), got.span<double>().end());
    const size_t victim = broken.size() / 2;
    broken[victim] +=
        4 * bound(c, dtype, reference.data<double>()[victim], largest(reference.span<double>()));
    EXPECT_NE(first_wrong(c, dtype, broken, reference.span<double>()), -1)
        << dtype << ": a moved element passed";
    std::ranges::fill(broken, 0.0);
    if (largest(reference.span<double>()) > 0)
      EXPECT_NE(first_wrong(c, dtype, broken, reference.span<double>()), -1) << dtype << ": all zeros passed";
  }
}

TEST_P(OpTest, RepeatsBitForBitOnAnyNumberOfThreads) {
  const OpCase& c = GetParam();
  const auto once = [&] {
    const Drawn drawn = draw(c, DType::f32, 2);
    const auto leaves = parameters(c, drawn.rounded);
    const Variable out = c.op(leaves);
    std::vector<Tensor> all{out.value()};
    if (out.wants_grad()) {
      backward(out, random_normal(out.shape(), 1, 3, out.dtype()));
      for (const Variable& leaf : leaves)
        if (leaf.grad()) all.push_back(leaf.grad());
    }
    return all;
  };
  const auto first = once();
  set_cpu_threads(1);
  const auto second = once();
  set_cpu_threads(2);  // as main() sets it
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i)
    EXPECT_EQ(std::memcmp(first[i].raw(), second[i].raw(), first[i].bytes()), 0)
        << "output or gradient " << i;
}

// sum(op(inputs) * upstream), with input `which` moved by step * direction
double moved(const OpCase& c, std::vector<Tensor> inputs, size_t which, const Tensor& direction, double step,
             const Tensor& upstream) {
  inputs[which] = add(inputs[which], direction, step);
  const Tensor out = c.op(constants(inputs)).value();
  double sum = 0;
  for (int64_t i = 0; i < out.count(); ++i) sum += out.data<double>()[i] * upstream.data<double>()[i];
  return sum;
}

TEST_P(OpTest, GradientMatchesCentralDifferences) {
  const OpCase& c = GetParam();
  const Drawn drawn = draw(c, DType::f64, 4);
  const auto leaves = parameters(c, drawn.rounded);
  const Variable out = c.op(leaves);
  if (!out.wants_grad()) return;
  const Tensor upstream = random_normal(out.shape(), 1, 5, DType::f64);
  backward(out, upstream);
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (!leaves[i].wants_grad()) continue;
    const Tensor grad = leaves[i].grad();
    ASSERT_TRUE(grad.defined()) << c.inputs[i].name;
    const auto g = grad.span<double>();
    std::vector<Tensor> directions;
    for (uint64_t d = 0; d < 3; ++d)
      directions.push_back(random_normal(grad.shape(), 1, random_key({6, i, d}), DType::f64));
    Random random(random_key({7, i}));
    std::vector<int64_t> entries{std::ranges::max_element(g, {}, [](double v) { return std::fabs(v); }) -
                                 g.begin()};
    for (int k = 0; k < 4; ++k) entries.push_back(random.below(grad.count()));
    for (int64_t entry : entries) {
      directions.push_back(zeros(grad.shape(), DType::f64));
      directions.back().data<double>()[entry] = 1;
    }
    for (size_t d = 0; d < directions.size(); ++d) {
      const double slope = (moved(c, drawn.rounded, i, directions[d], c.step, upstream) -
                            moved(c, drawn.rounded, i, directions[d], -c.step, upstream)) /
                           (2 * c.step);
      double analytic = 0, norm = 0;
      for (int64_t k = 0; k < grad.count(); ++k)
        analytic += g[size_t(k)] * directions[d].data<double>()[k],
            norm += std::fabs(g[size_t(k)] * directions[d].data<double>()[k]);
      EXPECT_NEAR(analytic, slope, 1e-6 * (norm + 1)) << c.inputs[i].name << ", direction " << d;
    }
  }
}

TEST_P(OpTest, SixteenBitParametersGetTheirGradientInF32) {
  const OpCase& c = GetParam();
  if (!c.low_precision) return;
  const auto leaves = parameters(c, draw(c, DType::bf16, 13).rounded);
  const Variable out = c.op(leaves);
  if (!out.wants_grad()) return;
  backward(out);
  for (const Variable& leaf : leaves)
    if (leaf.wants_grad()) EXPECT_EQ(leaf.grad().dtype(), DType::f32) << leaf.name();
}

TEST_P(OpTest, FormsOnlyWantedGradients) {
  const OpCase& c = GetParam();
  const Drawn drawn = draw(c, DType::f32, 8);
  const auto all = parameters(c, drawn.rounded);
  const Variable out = c.op(all);
  if (!out.wants_grad()) return;
  const Tensor upstream = random_normal(out.shape(), 1, 9, out.dtype());
  backward(out, upstream);
  for (size_t i = 0; i < all.size(); ++i) {
    if (!all[i].wants_grad()) continue;
    const auto alone = parameters(c, drawn.rounded, int(i));
    backward(c.op(alone), upstream);
    for (size_t k = 0; k < alone.size(); ++k)
      if (k != i) EXPECT_FALSE(alone[k].grad().defined()) << c.inputs[k].name << " was not wanted";
    const Tensor one = alone[i].grad(), both = all[i].grad();
    ASSERT_TRUE(one.defined()) << c.inputs[i].name;
    EXPECT_EQ(std::memcmp(one.raw(), both.raw(), one.bytes()), 0)
        << c.inputs[i].name << " differs when wanted alone";
  }
}

TEST_P(OpTest, WritesAllOfItsOutputAndNothingBeside) {  // memory is poisoned with NaN and fenced
  const OpCase& c = GetParam();
  const int64_t damaged_before = damaged_fences();
  {
    const Drawn drawn = draw(c, DType::f32, 10);
    const auto leaves = parameters(c, drawn.rounded);
    const Variable out = c.op(leaves);
    const Tensor value = cast(out.value(), DType::f64);
    for (double v : value.span<double>()) ASSERT_TRUE(std::isfinite(v));
    if (out.wants_grad()) {
      backward(out, random_normal(out.shape(), 1, 11, out.dtype()));
      for (const Variable& leaf : leaves) {
        if (!leaf.grad()) continue;
        const Tensor grad = cast(leaf.grad(), DType::f64);
        for (double v : grad.span<double>()) ASSERT_TRUE(std::isfinite(v)) << leaf.name();
      }
    }
  }
  EXPECT_EQ(damaged_fences(), damaged_before);
}

INSTANTIATE_TEST_SUITE_P(Ops, OpTest, testing::ValuesIn(op_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(OpCases, CoverEveryKernel) {
  Trace trace;
  for (const OpCase& c : op_cases()) {
    const Variable out = c.op(parameters(c, draw(c, DType::f32, 12).rounded));
    if (out.wants_grad()) backward(out);
  }
  for (const auto& [kernel, key] : kernel_catalog())
    if (key.device == DeviceKind::cpu)
      EXPECT_TRUE(trace.lines.contains(kernel)) << kernel << " has no op case";
}

}  // namespace
}  // namespace dehvf
