#include "autograd/ops/fuser.h"

#include <cmath>
#include <cstring>

#include "layers/fusion/fuser.h"
#include "support/parity.h"

namespace dehvf {
namespace {

struct Case {
  std::string_view what;
  int64_t images;
  FuserConfig config;
  std::vector<int> group_for;  // of each layer
};

const std::vector<Case> kCases = {
    {"all of size one", 1, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {0}},
    {"several chunks a group, groups read in reverse, one of them twice, one by nobody",
     2,
     {13, 2, 4, 12, 6, 17, 12, 3, 2, 12},
     {3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 0, 3}},
    {"wider than a tile, many levels a group", 1, {3, 1, 1, 24, 20, 70, 64, 4, 1, 64}, {0, 0, 0}},
};

// Every parameter drawn, those that begin with zeros too; maps such that their results stay as large as what
// they read.
std::unique_ptr<Fuser> composed(const Case& c, std::vector<Tensor>& parameters) {
  auto fuser = std::make_unique<Fuser>(c.config);
  load_parameters(
      *fuser,
      [&](const std::string& path, const Shape& shape) {
        const bool matrix = shape.rank() == 2;
        const double range = matrix ? std::sqrt(3.0 / double(shape[1])) : 1;
        Tensor value = random_uniform(shape, -range, range, random_key({parameters.size(), 5}), DType::f32);
        if (path.starts_with("fuser.keys")) {  // keys are the class tokens themselves
          fill(value, 0);
          for (int64_t i = 0; matrix && i < shape[0]; ++i) value.data<float>()[i * shape[1] + i] = 1;
          return cast(value, DType::f64);
        }
        parameters.push_back(value);
        return cast(value, DType::f64);
      },
      true);
  return fuser;
}

// A key's bias moves all scores of a query alike, so its gradient is zero: the tape finds roundings instead.
std::vector<Tensor> gradients_of(Fuser& fuser) {
  std::vector<Tensor> result;
  for (const auto& [path, parameter] : parameters_of(fuser)) {
    if (path.starts_with("fuser.keys")) continue;
    const Tensor grad = parameter->variable().grad();
    result.push_back(path.ends_with("attention.k.bias") ? zeros(grad.shape(), DType::f64) : grad);
  }
  return result;
}

class FuserKernels : public Parity {
 protected:
  void SetUp() override {
    Parity::SetUp();
    if (device() == kCpu) GTEST_SKIP() << "composed there";
  }
};

FuserPlan plan_of(const Case& c) {
  FuserPlan plan{.positions = c.config.positions, .heads = c.config.heads, .first_level = {}};
  for (int group : c.group_for) plan.first_level.push_back(group * c.config.levels / c.config.groups);
  return plan;
}

TEST_P(FuserKernels, AreTheComposedFuser) {
  for (const Case& c : kCases)
    for (DType dtype : {DType::f32, DType::bf16}) {
      std::vector<Tensor> values;
      const auto reference = composed(c, values);
      const int group = c.config.levels / c.config.groups, queries = c.config.layers * c.config.positions;
      const Tensor levels =
          random_uniform({c.images, c.config.levels, c.config.width}, -1, 1, random_key({91}), dtype);
      const Tensor dweights = random_uniform({c.images, queries, group}, -1, 1, random_key({92}), dtype);
      const Variable tokens = Variable::parameter(cast(levels, DType::f64), "tokens");
      const Variable want = (*reference)(tokens, c.group_for);
      backward(want, cast(dweights, DType::f64));

      std::vector<Tensor> there, grads;
      for (const Tensor& value : values) {
        there.push_back(value.to(device()));
        grads.push_back(full(value.shape(), NAN, DType::f32, device()));
      }
      const FuserPlan plan = plan_of(c);
      const Tensor on_device = levels.to(device()), dlevels = full(levels.shape(), NAN, DType::f32, device());
      ASSERT_TRUE(fuser_fits(on_device, there, plan)) << c.what;
      // Sums as long as the longest row, once for each map and norm on the way.
      const Bound chain{.additions = double(c.config.hidden + c.config.width + queries * int(c.images)) * 10 *
                                     c.config.blocks};
      expect_close(fuser(on_device, there, plan), want.value(), chain, c.what);
      fuser_backward(on_device, there, plan, dweights.to(device()), dlevels, grads);
      expect_close(dlevels, tokens.grad(), chain, concat("dlevels, ", c.what));
      const std::vector<Tensor> wanted = gradients_of(*reference);
      for (size_t i = 0; i < wanted.size(); ++i)
        expect_close(grads[i], wanted[i], chain, concat("gradient of parameter ", i, ", ", c.what));
    }
}

// As a model in bf16 holds them: with those values, and gradients in f32.
TEST_P(FuserKernels, TakeRoundedCopiesOfTheParameters) {
  const Case& c = kCases[1];
  const FuserPlan plan = plan_of(c);
  std::vector<Tensor> values, rounded, wide, grads;
  composed(c, values);
  std::vector<Variable> parameters;
  for (const Tensor& value : values) {
    rounded.push_back(cast(value, DType::bf16).to(device()));
    wide.push_back(cast(rounded.back(), DType::f32));
    parameters.push_back(Variable::parameter(value.to(device()), "p"));
    parameters.back().set_value(rounded.back());
    grads.push_back(full(value.shape(), NAN, DType::f32, device()));
  }
  const Tensor levels = drawn(c.images * c.config.levels * c.config.width, 0, DType::bf16, device(), 93, 1)
                            .reshape({c.images, c.config.levels, c.config.width});
  ASSERT_TRUE(fuser_fits(levels, rounded, plan));
  const Variable found = fuser(Variable(levels), parameters, plan);
  const Tensor want = fuser(levels, wide, plan), dweights = drawn(want.count(), 0, DType::bf16, device(), 94);
  const auto same = [](const Tensor& a, const Tensor& b) {
    const Tensor x = a.to(kCpu), y = b.to(kCpu);
    return x.dtype() == y.dtype() && x.shape() == y.shape() && std::memcmp(x.raw(), y.raw(), x.bytes()) == 0;
  };
  EXPECT_TRUE(same(found.value(), want));
  backward(found, dweights.reshape(want.shape()));
  fuser_backward(levels, wide, plan, dweights.reshape(want.shape()), Tensor(), grads);
  for (size_t i = 0; i < grads.size(); ++i) EXPECT_TRUE(same(parameters[i].grad(), grads[i])) << i;
}

INSTANTIATE_TEST_SUITE_P(Places, FuserKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
