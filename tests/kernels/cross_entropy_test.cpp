#include "core/ops/cross_entropy.h"

#include <cmath>
#include <cstring>

#include "support/parity.h"

namespace dehvf {
namespace {

class CrossEntropyKernels : public Parity {};

struct Case {
  int64_t rows, vocab, width;
  double range = 2;  // of hidden and head; 6 makes logits whose exponentials overflow
};
// The last has more rows than logits are held for at a time.
constexpr Case kCases[] = {{1, 1, 1}, {3, 7, 5}, {5, 513, 24}, {2, 1531, 33}, {517, 11, 4}, {3, 40, 32, 6}};

Tensor targets_of(const Case& c, uint64_t key) {
  std::vector<int32_t> targets;
  Random random(key);
  for (int64_t i = 0; i < c.rows; ++i)
    targets.push_back(i == 0 ? int32_t(c.vocab - 1) : i == 1 ? kNoTarget : int32_t(random.below(c.vocab)));
  return tensor_of(targets);
}

TEST_P(CrossEntropyKernels, ForwardAndBackward) {
  for (const Case& c : kCases)
    for (DType dtype : kKernelDtypes) {
      if (!affordable(c.rows * (c.vocab + 128) * c.width, dtype)) continue;  // sums over a block count too
      const std::string what = concat(c.rows, " rows, ", c.vocab, " words");
      const Tensor hidden =
          drawn(c.rows * c.width, 0, dtype, device(), 1, c.range).reshape({c.rows, c.width});
      const Tensor head =
          drawn(c.vocab * c.width, 0, dtype, device(), 2, c.range).reshape({c.vocab, c.width});
      const Tensor host_targets = targets_of(c, 3), targets = host_targets.to(device());
      const Tensor whole = output(c.rows, 0, DType::f32), losses = whole.slice(0, c.rows);
      run<CrossEntropy>(device().kind, hidden, head, targets, losses);
      const Tensor eh = exact(hidden), ew = exact(head);
      const double logit = c.range * c.range * double(c.width);
      expect_close(losses, cross_entropy(eh, ew, host_targets),
                   {.additions = double(c.width + c.vocab), .magnitude = 1 + logit}, "losses of " + what);
      expect_untouched_behind(whole, c.rows);

      const Tensor dlosses = drawn(c.rows, 0, DType::f32, device(), 4, 1);
      const Tensor dhidden = full(hidden.shape(), NAN, dtype, device()),
                   dhead = full(head.shape(), NAN, dtype, device());
      run<CrossEntropyBackward>(device().kind, hidden, head, targets, dlosses, dhidden, dhead);
      const Tensor want_h = full(hidden.shape(), 0, DType::f64), want_w = full(head.shape(), 0, DType::f64);
      cross_entropy_backward(eh, ew, host_targets, exact(dlosses), want_h, want_w);
      // A slope of at most 1 is stored once in the dtype, its error grows with that of its logit.
      const double error = 1 + logit;
      expect_close(dhidden, want_h, {double(c.width + c.vocab), 2 * error, 3}, "dhidden of " + what);
      expect_close(dhead, want_w, {double(c.width + c.rows), 2 * error, 3}, "dhead of " + what);
    }
}

TEST_P(CrossEntropyKernels, FormOnlyWhatIsWantedAndRepeatBitForBit) {
  const Case c{6, 700, 16};
  const Tensor hidden = drawn(c.rows * c.width, 0, DType::bf16, device(), 5).reshape({c.rows, c.width});
  const Tensor head = drawn(c.vocab * c.width, 0, DType::bf16, device(), 6).reshape({c.vocab, c.width});
  const Tensor targets = targets_of(c, 7).to(device()), dlosses = full({c.rows}, 0.3, DType::f32, device());
  const auto gradient = [&] {
    const Tensor dhidden(hidden.shape(), DType::bf16, device());
    run<CrossEntropyBackward>(device().kind, hidden, head, targets, dlosses, dhidden, Tensor());
    return dhidden.to(kCpu);
  };
  const Tensor first = gradient(), second = gradient();
  EXPECT_EQ(std::memcmp(first.raw(), second.raw(), first.bytes()), 0);
  EXPECT_EQ(cross_entropy(Tensor({0, 4}, DType::f32, device()), Tensor({3, 4}, DType::f32, device()),
                          Tensor({0}, DType::i32, device()))
                .count(),
            0);
}

INSTANTIATE_TEST_SUITE_P(Places, CrossEntropyKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
