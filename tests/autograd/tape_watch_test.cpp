// What a watch sees of a step: ops with their inputs, through segments, up to the backward pass.
#include "autograd/tape_watch.h"

#include <gmock/gmock.h>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/linear.h"
#include "autograd/segment.h"
#include "core/phase.h"
#include "core/random.h"

namespace dehvf {
namespace {

using testing::ElementsAre;

Tensor noise(const Shape& shape) { return random_normal(shape, 1, 3, DType::f32); }

// "op(inputs)" of every op, inputs by the op or by the name that they came from.
std::vector<std::string> seen(const TapeWatch& watch) {
  std::vector<std::string> lines;
  for (const TapeWatch::Op& op : watch.ops()) {
    std::string line = op.name + "(";
    for (int input : op.inputs) {
      const TapeWatch::Value& value = watch.values()[size_t(input)];
      line += concat(line.back() == '(' ? "" : ", ", value.op < 0 ? value.name : concat('#', value.op));
    }
    lines.push_back(concat(line, ") ", watch.values()[size_t(op.output)].shape,
                           watch.values()[size_t(op.output)].wants_grad ? "" : " still"));
  }
  return lines;
}

struct TapeWatchTest : testing::Test {
  Variable x = noise({4, 3}), w = Variable::parameter(noise({2, 3}), "w");
  Variable step(SegmentMode mode) {
    const Variable y = scale(x, 2);  // nothing to train
    const Variable z = linear(y, w);
    const Variable joined = segment(
        "block", {}, [](std::span<const Variable> in) { return scale(multiply(in[0], in[0]), 3); }, {z},
        mode);
    return add(joined, z);
  }
};

TEST_F(TapeWatchTest, SeesThroughKeptSegments) {
  const TapeWatch watch;
  step(SegmentMode::keep);
  EXPECT_THAT(seen(watch), ElementsAre("scale() [4, 3] still", "linear(#0, w) [4, 2]",
                                       "multiply(#1, #1) [4, 2]", "scale(#2) [4, 2]", "add(#3, #1) [4, 2]"));
  EXPECT_EQ(watch.ops()[2].phase, "block");
  EXPECT_EQ(watch.ops()[4].phase, "");
}

TEST_F(TapeWatchTest, ARecomputedSegmentIsOneOp) {
  const TapeWatch watch;
  step(SegmentMode::recompute);
  EXPECT_THAT(seen(watch), ElementsAre("scale() [4, 3] still", "linear(#0, w) [4, 2]", "block(#1) [4, 2]",
                                       "add(#2, #1) [4, 2]"));
}

TEST_F(TapeWatchTest, EndsWithTheForwardPassAndChangesNothing) {
  backward(step(SegmentMode::recompute));
  const Tensor without = w.grad();
  w.set_grad({});
  const TapeWatch watch;
  backward(step(SegmentMode::recompute));
  step(SegmentMode::keep);
  EXPECT_EQ(watch.ops().size(), 4u);
  EXPECT_EQ(std::memcmp(w.grad().raw(), without.raw(), without.bytes()), 0);
}

TEST_F(TapeWatchTest, SeesNothingOfANoGrad) {
  const TapeWatch watch;
  const NoGrad no_grad;
  step(SegmentMode::keep);
  EXPECT_TRUE(watch.ops().empty());
}

}  // namespace
}  // namespace dehvf
