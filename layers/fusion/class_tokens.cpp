#include "layers/fusion/class_tokens.h"

#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "layers/fusion/visual_memory.h"

namespace dehvf {

std::vector<int> spread_levels(const FusionShapes& shapes, int64_t count) {
  require<ConfigError>(shapes.tower_layers % count == 0, "fusion.levels: the tower's ", shapes.tower_layers,
                       " blocks do not divide by ", count);
  std::vector<int> levels;
  for (int64_t i = 1; i <= count; ++i) levels.push_back(int(i * shapes.tower_layers / count));
  return levels;
}

Variable class_tokens_of(const TowerLevels& tower, std::span<const int> levels, bool post_norm) {
  const Variable stacked = stack_levels(tower, levels, post_norm);
  const int64_t tokens = stacked.shape()[2];
  std::vector<int32_t> index;
  for (int64_t image = 0; image < tower.images; ++image)
    for (int64_t level = 0; level < int64_t(levels.size()); ++level)
      index.push_back(int32_t((level * tower.images + image) * tokens));
  return gather_rows(reshape(stacked, {stacked.shape().rows(), tower.width}),
                     tensor_of(index, stacked.device()));
}

void require_class_token(const FusionShapes& shapes, std::string_view operator_name) {
  require<ConfigError>(shapes.class_token, "fusion: ", operator_name,
                       " reads the tower's class tokens, and this tower has none");
}

}  // namespace dehvf
