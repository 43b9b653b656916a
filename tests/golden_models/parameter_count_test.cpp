// The published shapes, counted without allocating a weight (method.md 5).
#include <gtest/gtest.h>

#include "core/backend.h"
#include "models/fused_model.h"

namespace dehvf {
namespace {

using Options = std::map<std::string, std::string>;

CostReport cost_of(const LlamaConfig& llama, const std::string& fusion, const Options& options,
                   const ClipConfig& tower = clip_l14(), bool adapters = true) {
  const size_t before = backend(kCpu).bytes_in_use();
  FusedModel model(llama, tower,
                   {.fusion = fusion, .config = FusionConfig(options), .tower_adapters = adapters});
  const CostReport cost = model.cost();
  EXPECT_LT(backend(kCpu).bytes_in_use() - before, 16u << 20);  // the RoPE table, no weight
  return cost;
}

TEST(ParameterCount, MemVp) {
  EXPECT_EQ(cost_of(llama_7b(), "memvp", {{"slots", "320"}}).live, 3'846'272);
  EXPECT_EQ(cost_of(llama_7b(), "memvp", {{"slots", "320"}}).published, 3'879'040);
  EXPECT_EQ(cost_of(llama_13b(), "memvp", {{"slots", "400"}}).published, 5'487'744);
}

TEST(ParameterCount, Dehvf) {
  EXPECT_EQ(cost_of(llama_7b(), "dehvf", {{"slots", "320"}}).published, 4'068'806);
  EXPECT_EQ(cost_of(llama_13b(), "dehvf", {{"slots", "400"}}).published, 5'675'974);
}

TEST(ParameterCount, MeanWeightsHaveNoFuser) {
  FusedModel mean(llama_7b(), clip_l14(),
                  {.fusion = "dehvf", .config = FusionConfig({{"weights", "mean"}, {"slots", "320"}})});
  FusedModel dynamic(
      llama_7b(), clip_l14(),
      {.fusion = "dehvf", .config = FusionConfig(std::map<std::string, std::string>{{"slots", "320"}})});
  EXPECT_EQ(dynamic.cost().live - mean.cost().live, 171'014 + 26'944);
}

ClipConfig at_336() {
  ClipConfig tower = clip_l14();
  tower.image = 336;
  return tower;
}

TEST(ParameterCount, Llava) {
  const CostReport linear = cost_of(llama_7b(), "llava", {{"projector", "linear"}}, clip_l14(), false);
  EXPECT_EQ(linear.live, 4'198'400);
  EXPECT_EQ(linear.tokens_per_image, 256);
  const CostReport v15 = cost_of(llama_13b(), "llava", {}, at_336(), false);
  EXPECT_EQ(v15.live, 31'467'520);
  EXPECT_EQ(v15.tokens_per_image, 576);
  // MemVP's LLaVA-LoRA, 4.4M: a projector of rank 128, the tower's adapters, LoRA of rank 6 on 32 q and v.
  EXPECT_EQ(cost_of(llama_7b(), "llava", {{"hidden", "128"}}).published + 32 * 2 * 6 * (4096 + 4096),
            4'395'136);
}

TEST(ParameterCount, QFormer) {
  const CostReport small = cost_of(llama_7b(), "qformer", {});
  EXPECT_EQ(small.published, 3'887'616);
  EXPECT_EQ(small.tokens_per_image, 32);
  // BLIP-2's between a ViT-L and an LLM of width 2560: 104M in its table.
  LlamaConfig llm = llama_7b();
  llm.width = 2560;
  const Options blip2{{"width", "768"}, {"heads", "12"}, {"blocks", "12"}};
  EXPECT_EQ(cost_of(llm, "qformer", blip2, clip_l14(), false).live, 103'591'936);
}

TEST(ParameterCount, NaiveConcatHasThoseOfItsRows) {
  EXPECT_EQ(cost_of(llama_7b(), "naive_concat", {{"slots", "320"}}).published, 3'879'040);
  EXPECT_EQ(cost_of(llama_13b(), "naive_concat", {{"of", "dehvf"}, {"slots", "400"}}).published, 5'675'974);
}

}  // namespace
}  // namespace dehvf
