#include "core/ops/visual_rows.h"

#include <cmath>
#include <cstring>

#include "support/parity.h"

namespace dehvf {
namespace {

struct Case {
  std::string_view what;
  int64_t width, slots, images, terms, rank;  // rank 0: the terms are written out
  std::vector<int32_t> offsets, image_of;
  double dropped = 0;
  std::optional<Activation> activation = Activation::silu;
  double lowest = 0;
  bool slotless = false;
};

const std::vector<Case> kCases = {
    {"one token, one slot", 1, 1, 1, 1, 1, {0, 1}, {0}},
    {"factored, surplus slots, a text and an empty sample",
     40,
     13,
     2,
     9,
     5,
     {0, 7, 7, 12, 21},
     {1, 0, -1, 0}},
    {"factored, dropout", 33, 21, 2, 21, 8, {0, 3, 17}, {1, 1}, 0.3},
    {"written out, surplus slots", 24, 10, 3, 7, 0, {0, 5, 6, 18}, {2, -1, 0}},
    {"written out, dropout, gelu", 17, 6, 1, 6, 0, {0, 9}, {0}, 0.5, Activation::gelu},
    {"the lowest dropped, no activation", 24, 10, 3, 7, 0, {0, 5, 6, 18}, {2, -1, 0}, 0, {}, 0.35},
    {"no slots, the lowest dropped", 19, 11, 3, 11, 0, {0, 5, 5, 9, 20}, {2, 0, 1, 0}, 0, {}, 0.2, true},
    {"factored, dropout, the lowest dropped",
     33,
     21,
     2,
     17,
     8,
     {0, 3, 17},
     {1, -1},
     0.3,
     Activation::gelu,
     0.6},
    {"no image anywhere", 16, 5, 0, 0, 3, {0, 4, 9}, {-1, -1}},
    {"factored, in whole packs", 48, 24, 2, 16, 15, {0, 7, 7, 12, 21}, {1, 0, -1, 0}, 0.2},
    {"written out, in whole packs", 24, 16, 2, 8, 0, {0, 3, 11}, {1, 0}},
    {"more slots, columns and tokens than a tile has", 8, 150, 2, 140, 130, {0, 70, 72, 75}, {1, -1, 0}},
};

struct Inputs {
  Tensor x, dy, residual;
  VisualRowsTensors rows;
  VisualRowsPlan plan;
};

// `shared`: of the slots, terms, basis and bias, which are trained; they may be f32 beside 16-bit
// activations.
Inputs make(const Case& c, DType dtype, DType shared) {
  const auto draw = [&](const Shape& shape, uint64_t name, DType as) {
    return random_uniform(shape, -1, 1, random_key({name, uint64_t(c.width)}), as);
  };
  const int64_t tokens = c.offsets.back();
  Inputs in{draw({tokens, c.width}, 1, dtype), draw({tokens, c.width}, 2, dtype)};
  if (dtype == shared) in.residual = draw({tokens, c.width}, 9, dtype);  // with it and without
  if (!c.slotless) {
    in.rows.slot_keys = draw({c.slots, c.width}, 3, shared);
    in.rows.slot_values = draw({c.slots, c.width}, 4, shared);
  }
  if (c.images > 0) {
    const Shape terms{c.images, c.terms, c.rank > 0 ? c.rank : c.width};
    in.rows.image_keys = draw(terms, 5, shared);
    in.rows.image_values = draw(terms, 6, shared);
    if (c.rank > 0) {
      in.rows.basis = draw({c.width, c.rank}, 7, shared);
      in.rows.bias = draw({c.width}, 8, shared);
    }
  }
  in.plan = {.sample_offsets = tensor_of(c.offsets),
             .image_of = tensor_of(c.image_of),
             .lambda = 0.4,
             .scale = 0.6,
             .activation = c.activation,
             .dropped = c.lowest};
  if (c.dropped > 0) {
    std::vector<int64_t> ids;
    for (size_t s = 0; s < c.image_of.size(); ++s) ids.push_back(int64_t(1000 + 7 * s) << 30);
    in.plan.dropout = {.rate = c.dropped, .seed = 11, .step = 3, .layer = 2, .sample_ids = tensor_of(ids)};
  }
  return in;
}

Tensor moved(const Tensor& x, Device device) { return x.defined() ? x.to(device) : Tensor(); }
Tensor wide(const Tensor& x) { return x.defined() ? exact(x) : Tensor(); }

template <class Fn>
VisualRowsTensors each(const VisualRowsTensors& t, const Fn& fn) {
  return {fn(t.slot_keys), fn(t.slot_values), fn(t.image_keys), fn(t.image_values), fn(t.basis), fn(t.bias)};
}

Inputs on(const Inputs& in, Device device) {
  Inputs out = in;
  const auto there = [&](const Tensor& x) { return moved(x, device); };
  out.x = there(in.x), out.dy = there(in.dy), out.residual = there(in.residual),
  out.rows = each(in.rows, there);
  out.plan.sample_offsets = there(in.plan.sample_offsets);
  out.plan.image_of = there(in.plan.image_of);
  out.plan.dropout.sample_ids = there(in.plan.dropout.sample_ids);
  return out;
}

Tensor poisoned(const Tensor& shaped, DType dtype, Device device) {
  return shaped.defined() ? full(shaped.shape(), NAN, dtype, device) : Tensor();
}

class VisualRowsKernels : public Parity {
 protected:
  void check(const KernelKey& key, const Case& c, DType dtype, DType shared) {
    const Inputs host = make(c, dtype, shared), in = on(host, device());
    const int64_t tokens = c.offsets.back();
    const Tensor output = full({tokens, c.width}, NAN, dtype, device());
    const Tensor scores = full({tokens, c.slots}, NAN, DType::f32, device());
    Registry<VisualRowsForward>::instance().find(key)(in.x, in.rows, in.plan, in.residual, output, scores);
    const VisualRowsTensors wide_rows = each(host.rows, wide);
    const VisualRowsResult want = visual_rows(exact(host.x), wide_rows, host.plan, wide(host.residual));
    // Sums of many random terms: the largest of the results is about ||a|| ||b||, and their lengths add up
    // along the chain x -> scores -> output -> gradients.
    const double rank = c.images > 0 ? double(std::max<int64_t>(c.rank, 1)) : 0;
    // Where all have 16 bits, so have P, Q, a, ds, M and K, all of which go into the gradient of the basis.
    const Bound chain{.additions = double(c.width + c.slots + tokens) + 2 * rank,
                      .held = dtype == shared ? dtype : DType::f32,
                      .rounded = 6};
    const std::string what = concat(key, ' ', dtype, '/', shared, ", ", c.what);
    expect_close(scores, want.scores, chain, "scores of " + what);
    expect_close(output, want.output, chain, "output of " + what);

    // What is trained has f32 gradients, what was computed those of its dtype.
    const Tensor dx = poisoned(host.x, dtype, device());
    VisualRowsTensors grads =
        each(host.rows, [&](const Tensor& x) { return poisoned(x, DType::f32, device()); });
    grads.image_keys = poisoned(host.rows.image_keys, shared, device());
    grads.image_values = poisoned(host.rows.image_values, shared, device());
    Registry<VisualRowsBackward>::instance().find(key)(in.x, in.rows, in.plan, scores, in.dy, dx, grads);
    const Tensor want_dx = poisoned(host.x, DType::f64, kCpu);
    const VisualRowsTensors wanted =
        each(host.rows, [&](const Tensor& x) { return poisoned(x, DType::f64, kCpu); });
    visual_rows_backward(exact(host.x), wide_rows, host.plan, exact(scores), exact(host.dy), want_dx, wanted);
    const auto close = [&](const Tensor& got, const Tensor& wants, std::string_view name) {
      if (wants.defined()) expect_close(got, wants, chain, concat("d", name, " of ", what));
    };
    close(dx, want_dx, "x");
    close(grads.slot_keys, wanted.slot_keys, "slot_keys");
    close(grads.slot_values, wanted.slot_values, "slot_values");
    close(grads.image_keys, wanted.image_keys, "image_keys");
    close(grads.image_values, wanted.image_values, "image_values");
    close(grads.basis, wanted.basis, "basis");
    close(grads.bias, wanted.bias, "bias");
  }
};

TEST_P(VisualRowsKernels, ForwardAndBackward) {
  for (const KernelKey& key : variants<VisualRowsForward>())
    for (const Case& c : kCases) {
      const int64_t cost = c.offsets.back() * (c.slots + c.images * c.terms) * (c.width + c.rank);
      for (DType dtype : kKernelDtypes)
        if (affordable(cost, dtype)) check(key, c, dtype, dtype);
      if (affordable(cost, DType::bf16)) check(key, c, DType::bf16, DType::f32);
    }
}

TEST_P(VisualRowsKernels, FormOnlyWhatIsWantedAndRepeatBitForBit) {
  for (const KernelKey& key : variants<VisualRowsForward>()) {
    const Inputs in = on(make(kCases[2], DType::bf16, DType::f32), device());
    const auto result = [&] {
      const Tensor output(in.x.shape(), DType::bf16, device()), scores({17, 21}, DType::f32, device());
      Registry<VisualRowsForward>::instance().find(key)(in.x, in.rows, in.plan, in.residual, output, scores);
      const VisualRowsTensors grads{.basis = poisoned(in.rows.basis, DType::f32, device())};
      Registry<VisualRowsBackward>::instance().find(key)(in.x, in.rows, in.plan, scores, in.dy, {}, grads);
      return std::pair{output.to(kCpu), grads.basis.to(kCpu)};
    };
    const auto first = result(), second = result();
    EXPECT_EQ(std::memcmp(first.first.raw(), second.first.raw(), first.first.bytes()), 0) << key;
    EXPECT_EQ(std::memcmp(first.second.raw(), second.second.raw(), first.second.bytes()), 0) << key;
  }
}

// What forecasts count with.
TEST_P(VisualRowsKernels, AreAsManyLaunchesAsTheirTagsSay) {
  if (device() == kCpu) GTEST_SKIP() << "launches nothing";
  const Inputs in = on(make(kCases[9], DType::bf16, DType::bf16), device());
  const Tensor output(in.x.shape(), DType::bf16, device()), scores({21, 24}, DType::f32, device());
  const Trace forward;
  run<VisualRowsForward>(device().kind, in.x, in.rows, in.plan, in.residual, output, scores);
  EXPECT_EQ(forward.launches, VisualRowsForward::launches);
  const auto like = [](const Tensor& x) { return Tensor(x.shape(), x.dtype(), x.device()); };
  const Tensor dx = like(in.x);
  const VisualRowsTensors grads = each(in.rows, like);
  const Trace backward;
  run<VisualRowsBackward>(device().kind, in.x, in.rows, in.plan, scores, in.dy, dx, grads);
  EXPECT_EQ(backward.launches, VisualRowsBackward::launches);
}

INSTANTIATE_TEST_SUITE_P(Places, VisualRowsKernels, kAsyncPlaces, place_name);

}  // namespace
}  // namespace dehvf
