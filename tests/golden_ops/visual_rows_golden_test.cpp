// The composed visual rows against PyTorch (tests/golden/make_dehvf.py), in both forms; op cases and
// reference_test hold the op against the composed form.
#include <gtest/gtest.h>

#include "autograd/reference.h"
#include "models/safetensors.h"

namespace dehvf {
namespace {

using Tensors = std::map<std::string, Tensor>;

void expect_close(const Tensor& got, const Tensor& want, std::string_view name) {
  ASSERT_TRUE(got.defined()) << name;
  ASSERT_EQ(got.shape(), want.shape()) << name;
  double scale = 0, worst = 0;
  for (int64_t i = 0; i < want.count(); ++i) {
    scale = std::max(scale, std::fabs(want.data<double>()[i]));
    worst = std::max(worst, std::fabs(got.data<double>()[i] - want.data<double>()[i]));
  }
  EXPECT_LE(worst, 1e-13 * std::max(scale, 1.0)) << name;
}

Tensor transposed(const Tensor& matrix) {
  Tensor result({matrix.size(1), matrix.size(0)}, matrix.dtype());
  for (int64_t r = 0; r < matrix.size(0); ++r)
    for (int64_t c = 0; c < matrix.size(1); ++c)
      result.data<double>()[c * matrix.size(0) + r] = matrix.data<double>()[r * matrix.size(1) + c];
  return result;
}

VisualRowsPlan plan_of(const Tensors& golden) {
  std::vector<int32_t> offsets{0}, image_of;
  for (int64_t length : golden.at("lengths").span<int64_t>())
    offsets.push_back(offsets.back() + int32_t(length));
  for (int64_t present : golden.at("present").span<int64_t>())
    image_of.push_back(present ? int32_t(image_of.size()) : -1);
  return {tensor_of(offsets), tensor_of(image_of), item(golden.at("lambda")), item(golden.at("scale"))};
}

class VisualRowsGolden : public testing::TestWithParam<bool> {};

TEST_P(VisualRowsGolden, ValueAndGradients) {
  const bool factored = GetParam();
  const Tensors golden = load_safetensors(DEHVF_SOURCE_DIR "/tests/golden/dehvf/visual_rows.safetensors");
  const auto parameter = [&](const std::string& name) { return Variable::parameter(golden.at(name), name); };
  const Variable x = parameter("x");
  VisualRows rows{parameter("slot_keys"), parameter("slot_values"),
                  parameter(factored ? "image_keys" : "dense_keys"),
                  parameter(factored ? "image_values" : "dense_values")};
  if (factored) {
    rows.basis = Variable::parameter(transposed(golden.at("basis")), "basis");  // [rank, width] in the file
    rows.bias = parameter("bias");
  }
  rows.plan = plan_of(golden);
  const Variable output = visual_rows_reference(x, rows, golden.at("dropout_mask"));
  expect_close(output.value(), golden.at("O"), "O");
  backward(output, golden.at("dO"));
  for (const Variable& v :
       {x, rows.slot_keys, rows.slot_values, rows.image_keys, rows.image_values, rows.bias})
    if (v.defined()) expect_close(v.grad(), golden.at("grad." + v.name()), v.name());
  if (factored) expect_close(transposed(rows.basis.grad()), golden.at("grad.basis"), "basis");
}

INSTANTIATE_TEST_SUITE_P(Forms, VisualRowsGolden, testing::Bool(),
                         [](const auto& info) { return info.param ? "factored" : "materialised"; });

}  // namespace
}  // namespace dehvf
