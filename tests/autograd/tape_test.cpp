// Which values a recorded graph keeps alive: those that its closures hold, and no other.
#include <gtest/gtest.h>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/linear.h"
#include "autograd/segment.h"
#include "core/ops/elementwise.h"
#include "core/random.h"

namespace dehvf {
namespace {

Tensor noise(const Shape& shape, uint64_t key) { return random_normal(shape, 1, key); }

Variable frozen(const Tensor& weight) {
  return Variable::frozen([weight] { return weight; }, weight.shape(), weight.dtype(), "w");
}

// An op whose result lives in memory that can be watched: 2 x.
class Watched {
 public:
  Variable twice(const Variable& x) {
    const auto value = std::make_shared<Tensor>(scale(x.value(), 2));
    alive_ = value;
    const auto storage = std::make_shared<Storage>(value->raw(), value->bytes(), kCpu, value);
    return record("twice", Tensor(storage, 0, x.shape(), x.dtype()), {x},
                  [](const Tensor& dy, const Wanted&) { return Grads{scale(dy, 2)}; });
  }
  bool gone() const { return alive_.expired(); }

 private:
  std::weak_ptr<Tensor> alive_;
};

TEST(Tape, AValueBeforeAFrozenProductIsGoneBeforeBackward) {
  const Tensor weight = noise({5, 3}, 1);
  const Variable x = Variable::parameter(noise({4, 3}, 2), "x");
  Watched watched;
  const Variable y = linear(watched.twice(x), frozen(weight));
  EXPECT_TRUE(watched.gone());
  const Tensor dy = noise({4, 5}, 3);
  backward(y, dy);
  const Tensor want = scale(matmul(dy, weight), 2);
  EXPECT_EQ(std::memcmp(x.grad().raw(), want.raw(), want.bytes()), 0);
}

TEST(Tape, AValueBeforeATrainedProductLivesUntilItsGradient) {
  const Variable x = Variable::parameter(noise({4, 3}, 2), "x"),
                 weight = Variable::parameter(noise({5, 3}, 1), "w");
  Watched watched;
  const Variable y = linear(watched.twice(x), weight);
  EXPECT_FALSE(watched.gone());
  backward(y);
  EXPECT_TRUE(watched.gone());
}

TEST(Tape, AKeptSegmentHoldsNeitherItsInputsNorItsResult) {
  const Variable x = Variable::parameter(noise({4, 3}, 2), "x"), weight = frozen(noise({3, 3}, 1));
  Watched before, inside, result;
  Variable y;
  {
    const Variable input = before.twice(x);
    y = segment(
        "s", {},
        [&](std::span<const Variable> in) { return result.twice(linear(inside.twice(in[0]), weight)); },
        {input}, SegmentMode::keep);
  }
  EXPECT_TRUE(before.gone());
  EXPECT_TRUE(inside.gone());
  EXPECT_FALSE(result.gone());
  y = linear(y, weight);
  EXPECT_TRUE(result.gone());
  backward(y);
  EXPECT_TRUE(x.grad().defined());
}

TEST(Tape, ARecomputedSegmentHoldsItsInputs) {
  const Variable x = Variable::parameter(noise({4, 3}, 2), "x"), weight = frozen(noise({3, 3}, 1));
  Watched before;
  const Variable y = segment(
      "s", {}, [&](std::span<const Variable> in) { return linear(in[0], weight); }, {before.twice(x)},
      SegmentMode::recompute);
  EXPECT_FALSE(before.gone());
  backward(y);
  EXPECT_TRUE(before.gone());
}

// A parameter gets nothing, and no kernel runs for it; what was computed goes on with zeros.
TEST(Tape, AnInputThatASegmentDoesNotUseCostsNothing) {
  const Variable x = Variable::parameter(noise({4, 3}, 2), "x"),
                 unused = Variable::parameter(noise({2}, 4), "unused"),
                 behind = Variable::parameter(noise({2}, 5), "behind");
  for (SegmentMode mode : {SegmentMode::keep, SegmentMode::recompute}) {
    for (const Variable& parameter : {x, unused, behind}) parameter.set_grad({});
    backward(segment(
        "s", {}, [](std::span<const Variable> in) { return matmul(in[0], in[0], true); },
        {x, unused, scale(behind, 2)}, mode));
    EXPECT_FALSE(unused.grad().defined());
    EXPECT_EQ(cast(behind.grad(), DType::f64).data<double>()[1], 0);
    EXPECT_TRUE(x.grad().defined());
  }
}

TEST(Tape, ASegmentMayUseNoneOfItsWantedInputs) {
  const Variable x = Variable::parameter(noise({4, 3}, 2), "x"),
                 unused = Variable::parameter(noise({4, 3}, 4), "unused"), constant(noise({4, 3}, 5));
  for (SegmentMode mode : {SegmentMode::keep, SegmentMode::recompute}) {
    x.set_grad({});
    const Variable passed = segment(
        "s", {}, [](std::span<const Variable> in) { return add(in[0], in[0]); }, {constant, unused}, mode);
    EXPECT_TRUE(mode == SegmentMode::recompute || !passed.wants_grad());
    backward(add(x, passed));
    EXPECT_EQ(cast(x.grad(), DType::f64).data<double>()[1], 1);
  }
}

}  // namespace
}  // namespace dehvf
