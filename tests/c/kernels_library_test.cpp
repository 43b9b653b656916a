#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/ops/attention.h"
#include "core/ops/visual_rows.h"
#include "core/random.h"
#include "cuda/c/dehvf_kernels.h"

extern "C" int call_without_arrays(void);

namespace dehvf {
namespace {

constexpr dehvf_place kHost{-1, nullptr};

// Filled with NaN, so that what is not written is seen.
Tensor unwritten(const Shape& shape, DType dtype = DType::f32) { return full(shape, NAN, dtype); }

void expect_equal(const Tensor& got, const Tensor& want, std::string_view what) {
  ASSERT_EQ(got.shape(), want.shape()) << what;
  EXPECT_EQ(std::memcmp(got.raw(), want.raw(), want.bytes()), 0) << what;
}

TEST(KernelsLibrary, AttendsLikeTheOp) {
  for (const auto& [dtype, name] : {std::pair{DType::f32, DEHVF_F32}, std::pair{DType::bf16, DEHVF_BF16}}) {
    const Tensor q = random_normal({7, 4, 8}, 1, 1, dtype), k = random_normal({9, 2, 8}, 1, 2, dtype),
                 v = random_normal({9, 2, 8}, 1, 3, dtype), dout = random_normal({7, 4, 8}, 1, 4, dtype);
    const Tensor spans = tensor_of(std::vector<int32_t>{0, 3, 0, 5, 3, 4, 5, 4}).reshape({2, 4});
    const AttentionOptions options{.causal = true, .scale = 0.3};
    const Tensor out = unwritten(q.shape(), dtype), lse = unwritten({4, 7});
    const dehvf_attention_call call{.dtype = name,
                                    .q_rows = 7,
                                    .k_rows = 9,
                                    .heads = 4,
                                    .kv_heads = 2,
                                    .dim = 8,
                                    .span_count = 2,
                                    .causal = 1,
                                    .scale = 0.3,
                                    .q = q.raw(),
                                    .k = k.raw(),
                                    .v = v.raw(),
                                    .spans = spans.data<int32_t>(),
                                    .out = out.raw(),
                                    .lse = lse.data<float>()};
    ASSERT_EQ(dehvf_attention(kHost, &call), 0) << dehvf_error();
    const Attended want = attention(q, k, v, spans, options);
    expect_equal(out, want.out, "out");
    expect_equal(lse, want.lse, "lse");

    const Tensor dq = unwritten(q.shape(), dtype), dv = unwritten(v.shape(), dtype);
    ASSERT_EQ(dehvf_attention_backward(kHost, &call, dout.raw(), dq.raw(), nullptr, dv.raw()), 0)
        << dehvf_error();
    const AttentionGrads grads{unwritten(q.shape(), dtype), {}, unwritten(v.shape(), dtype)};
    attention_backward(q, k, v, spans, options, want, dout, grads);
    expect_equal(dq, grads.q, "dq");
    expect_equal(dv, grads.v, "dv");
  }
}

TEST(KernelsLibrary, AddsVisualRowsLikeTheOp) {
  const int64_t tokens = 11, width = 12, slots = 6, images = 2, terms = 5, rank = 3;
  const VisualRowsTensors rows{
      random_normal({slots, width}, 1, 1),        random_normal({slots, width}, 1, 2),
      random_normal({images, terms, rank}, 1, 3), random_normal({images, terms, rank}, 1, 4),
      random_normal({width, rank}, 1, 5),         random_normal({width}, 1, 6)};
  const VisualRowsPlan plan{.sample_offsets = tensor_of(std::vector<int32_t>{0, 4, 4, 11}),
                            .image_of = tensor_of(std::vector<int32_t>{1, -1, 0}),
                            .lambda = 0.3,
                            .scale = 0.7};
  const Tensor x = random_normal({tokens, width}, 1, 7), dy = random_normal({tokens, width}, 1, 8);
  const Tensor output = unwritten(x.shape()), scores = unwritten({tokens, slots});
  dehvf_visual_rows_call call{.dtype = DEHVF_F32,
                              .tokens = tokens,
                              .width = width,
                              .slots = slots,
                              .samples = 3,
                              .images = images,
                              .terms = terms,
                              .rank = rank,
                              .lambda = 0.3,
                              .scale = 0.7,
                              .x = x.raw(),
                              .slot_keys = rows.slot_keys.raw(),
                              .slot_values = rows.slot_values.raw(),
                              .image_keys = rows.image_keys.raw(),
                              .image_values = rows.image_values.raw(),
                              .basis = rows.basis.raw(),
                              .bias = rows.bias.raw(),
                              .sample_offsets = plan.sample_offsets.data<int32_t>(),
                              .image_of = plan.image_of.data<int32_t>(),
                              .output = output.raw(),
                              .scores = scores.data<float>()};
  ASSERT_EQ(dehvf_visual_rows(kHost, &call), 0) << dehvf_error();
  const VisualRowsResult want = visual_rows(x, rows, plan);
  expect_equal(output, want.output, "output");
  expect_equal(scores, want.scores, "scores");

  const auto like = [](const Tensor& t) { return unwritten(t.shape()); };
  const Tensor dx = like(x), dbasis = like(rows.basis), dkeys = like(rows.image_keys);
  const dehvf_visual_rows_gradients gradients{.dy = dy.raw(),
                                              .dx = dx.data<float>(),
                                              .image_keys = dkeys.data<float>(),
                                              .basis = dbasis.data<float>()};
  ASSERT_EQ(dehvf_visual_rows_backward(kHost, &call, &gradients), 0) << dehvf_error();
  const VisualRowsTensors grads{.image_keys = like(rows.image_keys), .basis = like(rows.basis)};
  const Tensor want_dx = like(x);
  visual_rows_backward(x, rows, plan, want.scores, dy, want_dx, grads);
  expect_equal(dx, want_dx, "dx");
  expect_equal(dkeys, grads.image_keys, "dimage_keys");
  expect_equal(dbasis, grads.basis, "dbasis");

  call.terms = slots + 1;
  EXPECT_NE(dehvf_visual_rows(kHost, &call), 0);
  EXPECT_THAT(dehvf_error(), testing::HasSubstr("an image has N = 7 rows, but there are only n = 6 slots"));
}

TEST(KernelsLibrary, SaysWhatIsWrong) {
  EXPECT_NE(call_without_arrays(), 0);
  EXPECT_STREQ(dehvf_error(), "q is NULL, wanted [2, 1, 4] of f32");
  dehvf_attention_call call{};
  call.dtype = 7;
  EXPECT_NE(dehvf_attention(kHost, &call), 0);
  EXPECT_STREQ(dehvf_error(), "dtype 7: wanted DEHVF_F32, DEHVF_BF16 or DEHVF_F16");
  EXPECT_NE(dehvf_attention({99, nullptr}, &call), 0);
  EXPECT_THAT(dehvf_error(), testing::HasSubstr("device cuda:99 is not here"));
}

}  // namespace
}  // namespace dehvf
