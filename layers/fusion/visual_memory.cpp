#include "layers/fusion/visual_memory.h"

#include "autograd/ops/elementwise.h"
#include "autograd/ops/norm.h"
#include "autograd/ops/rows.h"

namespace dehvf {

VisualMemoryConfig VisualMemoryConfig::read(const FusionShapes& shapes, FusionConfig& config) {
  static const std::string kForms[] = {"factored", "materialised"};
  const int64_t images = read_images(config), patches = images * shapes.patches;
  VisualMemoryConfig result{
      .images = images,
      .slots = config.integer("slots", (patches * 5 + 3) / 4, 1, 1 << 20),
      .rank = config.integer("rank", 128, 1, 1 << 16),
      .lambda = config.number("lambda", 0.01),
      .scale = config.number("scale", 0.1),
      .dropout = config.number("dropout", 0.1),
      .materialised = config.choice("rows", "factored", kForms) == "materialised",
  };
  require<ConfigError>(result.slots >= patches, "fusion.slots: ", result.slots, " slots for ", patches,
                       images == 1 ? " patches" : concat(" patches of ", images, " images"),
                       "; wanted at least as many slots as patches");
  require<ConfigError>(0 <= result.dropout && result.dropout < 1,
                       "fusion.dropout: wanted 0 <= rate < 1, found ", result.dropout);
  return result;
}

VisualMemory::VisualMemory(const FusionShapes& shapes, const VisualMemoryConfig& config)
    : config_(config),
      width_(shapes.llm_width),
      patches_(config.images * shapes.patches),
      slot_keys_({config.slots, shapes.llm_width}, {Initial::Kind::normal, 0.02}),
      slot_values_({config.slots, shapes.llm_width}, {Initial::Kind::zeros}),
      projector_down_(shapes.tower_width, config.rank),
      projector_up_(config.rank, shapes.llm_width) {}

void VisualMemory::describe(Describer& describer) {
  describer.parameter("slot_keys", slot_keys_);
  describer.parameter("slot_values", slot_values_);
  describer.child("projector.down", projector_down_);
  describer.child("projector.up", projector_up_);
}

Variable VisualMemory::activate_mixed(const Variable& mixed) const {
  const Variable z = activate(add_row(mixed, projector_down_.bias), Activation::silu);
  const int axis = z.shape().rank() - 3;
  const int64_t p = config_.images, images = z.shape()[axis], patches = z.shape()[axis + 1];
  return p == 1 ? z : reshape(z, z.shape().with(axis, images / p).with(axis + 1, patches * p));
}

VisualRows VisualMemory::rows(const Variable& key_z, const Variable& value_z,
                              const BlockContext& context) const {
  VisualRows rows;
  rows.slot_keys = slot_keys_;
  rows.slot_values = slot_values_;
  rows.plan = {.sample_offsets = context.rows.sample_offsets,
               .image_of = context.rows.image_of,
               .lambda = config_.lambda,
               .scale = config_.scale};
  if (context.training)
    rows.plan.dropout = {.rate = config_.dropout,
                         .seed = context.seed,
                         .step = context.step,
                         .layer = uint64_t(context.layer),
                         .sample_ids = context.rows.sample_ids,
                         .positions = context.rows.positions,
                         .step_state = context.step_state};
  if (!key_z.defined()) return rows;
  if (config_.materialised) {
    rows.image_keys = projector_up_(key_z);
    rows.image_values = key_z == value_z ? rows.image_keys : projector_up_(value_z);
  } else {
    rows.image_keys = key_z;
    rows.image_values = value_z;
    rows.basis = projector_up_.weight;
    rows.bias = projector_up_.bias;
  }
  return rows;
}

double VisualMemory::flops_per_token() const {
  return 4.0 * double(width_) * double(config_.slots + config_.rank + 1) +
         4.0 * double(patches_ * config_.rank);
}

Variable stack_levels(const TowerLevels& tower, std::span<const int> which, bool post_norm) {
  std::vector<Variable> levels;
  for (int level : which) {
    const auto found = tower.after_block.find(level);
    require<Error>(found != tower.after_block.end(),
                   "fusion: the tower did not deliver the level after block ", level);
    levels.push_back(reshape(found->second, {found->second.shape().rows(), tower.width}));
  }
  const int64_t tokens = tower.patches + (tower.class_token ? 1 : 0);
  const Variable stacked = reshape(levels.size() == 1 ? levels[0] : concat_rows(levels),
                                   {int64_t(which.size()), tower.images, tokens, tower.width});
  return post_norm ? layer_norm(stacked, tower.post_norm_weight, tower.post_norm_bias, tower.post_norm_eps)
                   : stacked;
}

Tensor patch_index(const TowerLevels& tower, int64_t levels, Device device) {
  const int64_t first = tower.class_token ? 1 : 0, tokens = tower.patches + first;
  std::vector<int32_t> index;
  index.reserve(size_t(tower.images * levels * tower.patches));
  for (int64_t image = 0; image < tower.images; ++image)
    for (int64_t level = 0; level < levels; ++level)
      for (int64_t patch = 0; patch < tower.patches; ++patch)
        index.push_back(int32_t((level * tower.images + image) * tokens + first + patch));
  return tensor_of(index, device);
}

}  // namespace dehvf
