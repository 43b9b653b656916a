// What one training step multiplies: no gradient of a frozen weight, nothing of block 0 on the way back.
#include <gmock/gmock.h>

#include "core/kernel.h"
#include "train/contract/step_products.h"

namespace dehvf {
namespace {

using namespace contract;

double flops_of(const Trace& trace) {
  double sum = 0;
  for (const auto& p : trace.products) sum += 2.0 * double(p.batch) * double(p.m) * double(p.n) * double(p.k);
  return sum;
}

// Of those whose maps are all products of matrices; attention is none. `each_token`: what the operator does
// for a token is products too.
struct CostCase {
  tiny::Case of;
  bool each_token;
};

class Costs : public testing::TestWithParam<CostCase> {};
INSTANTIATE_TEST_SUITE_P(
    Operators, Costs,
    testing::Values(CostCase{{"llava", {}}, true},
                    CostCase{{"llama_adapter", {{"prompts", "3"}, {"layers", "2"}, {"rank", "5"}}}, false},
                    CostCase{{"llama_adapter", {{"version", "2"}, {"prompts", "3"}, {"layers", "2"}}}, false},
                    CostCase{{"lavin", {{"dim", "6"}, {"levels", "2"}, {"rank", "5"}}}, true}));

TEST_P(Costs, CountTheProductsOfAForwardPass) {
  const auto& [of, each_token] = GetParam();
  FusedModel model = tiny::make(of, DType::f32);
  const tiny::Input in = tiny::input(DType::f32);
  const NoGrad no_grad;
  const TowerLevels levels = model.look(in.pixels);
  const TextPlan plan = model.plan(in.batch());
  const Trace trace;
  model.hidden(plan, model.see(levels), {});
  const CostReport cost = model.fusion().cost();
  const LlamaConfig c = tiny::llama();
  const int64_t heads = 2 * (c.heads + c.kv_heads) * c.head_dim, tokens = plan.batch.count(), images = 2;
  EXPECT_EQ(tokens, in.batch().count() + images * cost.tokens_per_image + cost.tokens_once);
  const double frozen = 2.0 * double(tokens * c.layers * c.width * (heads + 3 * c.ffn));
  const double own = cost.flops_once + double(images) * cost.flops_per_image +
                     (each_token ? double(tokens) * cost.flops_per_token : 0);
  EXPECT_EQ(flops_of(trace) - frozen, own);
}

TEST(Costs, OfAdemVlAreItsProducts) {
  const FusedModel model = tiny::make({"adem_vl", {{"rank", "5"}, {"pooled", "2"}}}, DType::f32);
  const tiny::Input in = tiny::input(DType::f32);
  const NoGrad no_grad;
  const TowerLevels levels = model.look(in.pixels);
  const Trace trace;
  model.see(levels);
  EXPECT_EQ(flops_of(trace), 2 * model.fusion().cost().flops_per_image);
  EXPECT_EQ(model.fusion().cost().flops_per_token,
            tiny::llama().layers * 4.0 * (9 + 4) * tiny::llama().width);
}

TEST(ProductCount, SeesTheGradientOfAWeight) {
  FusedModel model = tiny::make({"memvp", {{"slots", "11"}, {"rank", "3"}}}, DType::f32);
  initialise(model.llama(), 1);
  int found = 0;
  for (const auto& [sizes, count] : weight_gradients(model, step_products(model, SegmentMode::keep).backward))
    found += count;
  EXPECT_EQ(found, 7 * tiny::llama().layers);
}

// The products of the frozen matrices [out, in] of blocks [first, last]: y = x W^T on the way there, dx = dy
// W on the way back. The last block runs on the labelled rows, but for its keys and values.
ProductCounts frozen_products(int first, bool back) {
  const LlamaConfig c = tiny::llama();
  const int64_t tokens = product_input().batch().count(),
                labelled = product_input().supervised().rows.count();
  ProductCounts counts;
  const auto add = [&](int64_t rows, int64_t out, int64_t in, int times) {
    counts[back ? Sizes{rows, in, out} : Sizes{rows, out, in}] += times;
  };
  for (int l = first; l < c.layers; ++l) {
    const int64_t rows = l + 1 == c.layers ? labelled : tokens, q = c.heads * c.head_dim;
    add(rows, q, c.width, 1);
    add(tokens, c.kv_heads * c.head_dim, c.width, 2);
    add(rows, c.width, q, 1);
    add(rows, c.ffn, c.width, 2);
    add(rows, c.width, c.ffn, 1);
  }
  // Back behind the head, its rows are multiplied twice: once more for the logits, once for the gradient.
  counts[{labelled, c.vocab, c.width}] += back ? 2 : 1;
  return counts;
}

// Those of `counts` that have the two sides of a matrix of the language model.
ProductCounts of_the_language_model(FusedModel& model, const ProductCounts& counts) {
  const auto shapes = matrices(parameters_of(model.llama()));
  ProductCounts found;
  for (const auto& [sizes, count] : counts)
    if (shapes.contains({sizes[1], sizes[2]}) || shapes.contains({sizes[2], sizes[1]})) found[sizes] = count;
  return found;
}

std::vector<tiny::Case> cases_of_rows() {
  auto cases = tiny::all_cases();
  std::erase_if(cases, [](const tiny::Case& c) {
    return (c.fusion != "memvp" && c.fusion != "dehvf") || c.tuning.any();
  });
  return cases;
}
class RowProducts : public testing::TestWithParam<tiny::Case> {};
INSTANTIATE_TEST_SUITE_P(All, RowProducts, testing::ValuesIn(cases_of_rows()));

TEST_P(RowProducts, BlockZeroIsNotRunBack) {
  FusedModel model = tiny::make(GetParam(), DType::f32, 0.1);
  for (SegmentMode mode : {SegmentMode::keep, SegmentMode::recompute}) {
    const StepProducts step = step_products(model, mode);
    EXPECT_EQ(of_the_language_model(model, step.forward), frozen_products(0, false));
    ProductCounts back = frozen_products(1, true);
    if (mode == SegmentMode::recompute) {  // the other blocks once more, without the head
      for (const auto& [sizes, count] : frozen_products(1, false)) back[sizes] += count;
      const int64_t labelled = product_input().supervised().rows.count();
      --back[{labelled, tiny::llama().vocab, tiny::llama().width}];
    }
    EXPECT_EQ(of_the_language_model(model, step.backward), back);
  }
}

}  // namespace
}  // namespace dehvf
