#include "autograd/ops/norm.h"

#include <cstring>

#include <gtest/gtest.h>

#include "autograd/ops/elementwise.h"
#include "core/ops/norm.h"
#include "core/ops/softmax.h"
#include "core/random.h"
#include "support/message.h"

namespace dehvf {
namespace {

TEST(RmsNorm, RoundsBeforeTheWeight) {
  const int64_t width = 769;
  const Tensor x = random_normal({5, width}, 2, 1, DType::bf16),
               weight = random_uniform({width}, 0.5, 1.5, 2, DType::bf16);
  const RmsNormResult result = rms_norm(x, weight, 1e-6);
  for (int64_t r = 0; r < 5; ++r)
    for (int64_t c = 0; c < width; ++c) {
      const bf16 normalised(float(x.data<bf16>()[r * width + c]) * result.inv_rms.data<float>()[r]);
      EXPECT_EQ(bf16(float(normalised) * float(weight.data<bf16>()[c])).bits,
                result.y.data<bf16>()[r * width + c].bits);
    }
}

TEST(RmsNorm, TakesAWeightOfAnotherDtype) {
  const Tensor x = random_normal({3, 65}, 1, 1), half = random_normal({65}, 1, 2, DType::f16);
  Tensor wide({65}, DType::f32);
  for (int64_t i = 0; i < 65; ++i) wide.data<float>()[i] = float(half.data<f16>()[i]);
  const Tensor a = rms_norm(x, half, 1e-6).y, b = rms_norm(x, wide, 1e-6).y;
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0);
}

TEST(Norm, ResolvesFrozenWeightsInBackward) {
  const Tensor weight = random_normal({7}, 1, 1), bias = random_normal({7}, 1, 2);
  int uses = 0;
  const WeightRef source = [&] {
    ++uses;
    return weight;
  };
  const Variable x = Variable::parameter(random_normal({2, 7}, 1, 3), "x");
  const Variable frozen = Variable::frozen(source, {7}, DType::f32, "weight");
  for (const bool layer : {false, true}) {
    const Variable y = layer ? layer_norm(x, frozen, bias, 1e-5) : rms_norm(x, frozen, 1e-5);
    const int before = uses;
    backward(y);
    EXPECT_GT(uses, before);
  }
}

// With a residual the bits are those of the two ops, whichever of the outputs is used.
TEST(Norm, AddsTheResidualAsTheTwoOpsDo) {
  const int64_t width = 67;
  const auto same = [](const Tensor& a, const Tensor& b) {
    return std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
  };
  for (const bool layer : {false, true})
    for (const bool use_sum : {false, true})
      for (const bool use_normed : {false, true}) {
        if (!use_sum && !use_normed) continue;
        const auto grads = [&](bool fused) {
          std::vector<Variable> in;
          for (uint64_t i = 0; i < 4; ++i) {
            const Tensor value = i < 2 ? random_normal({5, width}, 1, i) : random_normal({width}, 1, i);
            in.push_back(Variable::parameter(value, concat("in", i)));
          }
          AddedNorm both;
          if (fused) {
            both = layer ? add_layer_norm(in[0], in[1], in[2], in[3], 1e-5)
                         : add_rms_norm(in[0], in[1], in[2], 1e-5);
          } else {
            both.sum = add(in[0], in[1]);
            both.normed = layer ? layer_norm(both.sum, in[2], in[3], 1e-5) : rms_norm(both.sum, in[2], 1e-5);
          }
          const Variable y = !use_sum ? both.normed : !use_normed ? both.sum : add(both.sum, both.normed);
          backward(y, random_normal({5, width}, 1, 9));
          return std::pair(y.value(),
                           std::vector<Tensor>{in[0].grad(), in[1].grad(), in[2].grad(), in[3].grad()});
        };
        const auto [y, fused] = grads(true);
        const auto [want_y, want] = grads(false);
        EXPECT_TRUE(same(y, want_y)) << layer << use_sum << use_normed;
        for (size_t i = 0; i < fused.size(); ++i) {
          if (!want[i].defined()) {  // the composed form does not reach it: zeros here
            if (fused[i].defined())
              for (float g : fused[i].span<float>()) EXPECT_EQ(g, 0);
            continue;
          }
          EXPECT_TRUE(same(fused[i], want[i])) << i << layer << use_sum << use_normed;
        }
      }
}

TEST(Norm, RefusesWhatDoesNotFit) {
  const Tensor x = zeros({2, 17, 64}), weight = zeros({63});
  EXPECT_EQ(message_of<Error>([&] { rms_norm(x, weight, 1e-6); }),
            "rms_norm: weight [63] does not match the last axis of x [2, 17, 64]");
  EXPECT_EQ(message_of<Error>([&] { layer_norm(x, zeros({64}), weight, 1e-6); }),
            "layer_norm: bias [63] does not match the last axis of x [2, 17, 64]");
  EXPECT_EQ(message_of<Error>([&] { softmax(zeros({3, 0})); }), "softmax: x [3, 0] has no width");
  EXPECT_EQ(message_of<Error>([&] { softmax(tensor_of(std::vector<int32_t>{1})); }),
            "softmax: x is i32, wanted f32, bf16, f16 or f64");
}

}  // namespace
}  // namespace dehvf
