// The published shapes, counted without allocating a weight (method.md 5).
#include <gtest/gtest.h>

#include "core/backend.h"
#include "models/fused_model.h"

namespace dehvf {
namespace {

CostReport cost_of(const LlamaConfig& llama, const std::string& fusion, const std::string& slots) {
  const size_t before = backend(kCpu).bytes_in_use();
  FusedModel model(llama, clip_l14(),
                   {.fusion = fusion,
                    .config = FusionConfig(std::map<std::string, std::string>{{"slots", slots}}),
                    .tower_adapters = true});
  const CostReport cost = model.cost();
  EXPECT_LT(backend(kCpu).bytes_in_use() - before, 16u << 20);  // the RoPE table, no weight
  return cost;
}

TEST(ParameterCount, MemVp) {
  EXPECT_EQ(cost_of(llama_7b(), "memvp", "320").live, 3'846'272);
  EXPECT_EQ(cost_of(llama_7b(), "memvp", "320").published, 3'879'040);
  EXPECT_EQ(cost_of(llama_13b(), "memvp", "400").published, 5'487'744);
}

TEST(ParameterCount, Dehvf) {
  EXPECT_EQ(cost_of(llama_7b(), "dehvf", "320").published, 4'068'806);
  EXPECT_EQ(cost_of(llama_13b(), "dehvf", "400").published, 5'675'974);
}

TEST(ParameterCount, MeanWeightsHaveNoFuser) {
  FusedModel mean(llama_7b(), clip_l14(),
                  {.fusion = "dehvf", .config = FusionConfig({{"weights", "mean"}, {"slots", "320"}})});
  FusedModel dynamic(
      llama_7b(), clip_l14(),
      {.fusion = "dehvf", .config = FusionConfig(std::map<std::string, std::string>{{"slots", "320"}})});
  EXPECT_EQ(dynamic.cost().live - mean.cost().live, 171'014 + 26'944);
}

}  // namespace
}  // namespace dehvf
