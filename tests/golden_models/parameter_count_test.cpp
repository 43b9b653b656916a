// The published shapes, counted without allocating a weight (method.md 5).
#include <gtest/gtest.h>

#include "core/backend.h"
#include "models/fused_model.h"

namespace dehvf {
namespace {

using Options = std::map<std::string, std::string>;

CostReport cost_of(const LlamaConfig& llama, const std::string& fusion, const Options& options,
                   const VisionConfig& tower = clip_l14(),
                   const std::optional<TowerAdapterConfig>& adapters = TowerAdapterConfig{}) {
  const size_t before = backend(kCpu).bytes_in_use();
  FusedModel model(llama, tower,
                   {.fusion = fusion,
                    .config = FusionConfig(options),
                    .tower_adapters = adapters.has_value(),
                    .adapters = adapters.value_or(TowerAdapterConfig{})});
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

TEST(ParameterCount, AFuserForEachGroup) {
  EXPECT_EQ(cost_of(llama_7b(), "dehvf", {{"slots", "320"}, {"fuser", "per_group"}}).published,
            4'068'806 + 3 * 171'014);
  EXPECT_EQ(cost_of(llama_13b(), "dehvf", {{"slots", "400"}, {"fuser", "per_group"}}).published,
            5'675'974 + 3 * 171'014);
}

TEST(ParameterCount, MeanWeightsHaveNoFuser) {
  FusedModel mean(llama_7b(), clip_l14(),
                  {.fusion = "dehvf", .config = FusionConfig({{"weights", "mean"}, {"slots", "320"}})});
  FusedModel dynamic(
      llama_7b(), clip_l14(),
      {.fusion = "dehvf", .config = FusionConfig(std::map<std::string, std::string>{{"slots", "320"}})});
  EXPECT_EQ(dynamic.cost().live - mean.cost().live, 171'014 + 26'944);
}

VisionConfig at_336() {
  VisionConfig tower = clip_l14();
  tower.image = 336;
  return tower;
}

TEST(ParameterCount, Llava) {
  const CostReport linear = cost_of(llama_7b(), "llava", {{"projector", "linear"}}, clip_l14(), std::nullopt);
  EXPECT_EQ(linear.live, 4'198'400);
  EXPECT_EQ(linear.tokens_per_image, 256);
  const CostReport v15 = cost_of(llama_13b(), "llava", {}, at_336(), std::nullopt);
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
  EXPECT_EQ(cost_of(llm, "qformer", blip2, clip_l14(), std::nullopt).live, 103'591'936);
}

TEST(ParameterCount, NaiveConcatHasThoseOfItsRows) {
  EXPECT_EQ(cost_of(llama_7b(), "naive_concat", {{"slots", "320"}}).published, 3'879'040);
  EXPECT_EQ(cost_of(llama_13b(), "naive_concat", {{"of", "dehvf"}, {"slots", "400"}}).published, 5'675'974);
}

// Published: 1.2M of prompts and 1.8M in all, with LLaMA-7B.
TEST(ParameterCount, LlamaAdapter) {
  const CostReport first = cost_of(llama_7b(), "llama_adapter", {});
  EXPECT_EQ(first.published, 30 * (10 * 4096 + 32) + 593'992);
  EXPECT_EQ(first.published, 1'823'752);
  EXPECT_EQ(first.tokens_per_image, 0);
  EXPECT_EQ(cost_of(llama_7b(), "llama_adapter", {{"version", "2"}}).published,
            31 * (20 * 4096 + 32) + 32 + 659'584);
}

// Published: 3.8M (its code prints 3.78M) and 5.4M.
TEST(ParameterCount, Lavin) {
  const TowerAdapterConfig routed{.form = TowerAdapterForm::before_attention, .rank = 8};
  const CostReport small = cost_of(llama_7b(), "lavin", {}, clip_l14(), routed);
  EXPECT_EQ(small.published, 3'781'296);
  EXPECT_EQ(small.live, 3'781'296);
  EXPECT_EQ(small.tokens_per_image, 6);
  EXPECT_EQ(cost_of(llama_13b(), "lavin", {}, clip_l14(), routed).published, 5'390'080);
}

// Published: 4.5M and 5.5M; at 13B they round to 5.4M, from the 5.45M that its code prints.
TEST(ParameterCount, AdemVl) {
  const CostReport small = cost_of(llama_7b(), "adem_vl", {});
  EXPECT_EQ(small.published, 2 * 320 * 4096 + 2 * 659'584 + 589'824);
  EXPECT_EQ(small.published, 4'530'432);
  EXPECT_EQ(small.live, 4'530'432 - 24'576);
  EXPECT_EQ(small.tokens_per_image, 1);
  EXPECT_EQ(cost_of(llama_13b(), "adem_vl", {}).published, 5'449'984);
  EXPECT_EQ(cost_of(llama_7b(), "adem_vl", {{"class_token", "false"}}).published, 4'530'432 - 659'584);
}

TEST(ParameterCount, Towers) {
  const auto count = [](const VisionConfig& config) {
    VisionTower tower(config);
    return count_elements(tower);
  };
  EXPECT_EQ(count(clip_l14()), 303'179'776);
  EXPECT_EQ(count(dinov2_l14()), 304'368'640 - 1024);           // without the mask token
  EXPECT_EQ(count(siglip_so400m()), 428'225'600 - 15'238'352);  // without the head that pools
}

}  // namespace
}  // namespace dehvf
