// Towers of every family against transformers: every level and the gradient of the pixels.
#include <numeric>

#include <gmock/gmock.h>

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/norm.h"
#include "golden_models/fixture.h"
#include "models/load.h"

namespace dehvf {
namespace {

// Where the expected pixels have another size than the folder's config, the tower is made for theirs.
VisionConfig config_for(const std::string& name, const Tensor& pixels) {
  VisionConfig config = read_vision_config(golden(name));
  config.stored_image = config.image;
  config.image = pixels.shape().last();
  return config;
}

struct Folder {
  Folder(const std::string& name, DType dtype)
      : expected(load_safetensors(golden(name + "_expected.safetensors"))),
        tower(config_for(name, expected.at("pixels"))),
        levels(size_t(tower.config().layers)),
        pixels(Variable::parameter(cast(expected.at("pixels"), dtype), "pixels")) {
    load_weights(tower, WeightFolder(golden(name)), dtype, notes);
    std::iota(levels.begin(), levels.end(), 1);
  }
  Tensors expected;
  VisionTower tower;
  std::vector<int> levels;
  std::vector<std::string> notes;
  Variable pixels;
};

// Products behind one another: patches, and four a block.
double float_bound(const VisionConfig& config) {
  return 4 * 0x1p-24 * std::sqrt(double(config.mlp)) * (4 * config.layers + 1);
}

// A level after the post norm.
Tensor normed(const TowerLevels& found, int level) {
  return layer_norm(found.after_block.at(level), found.post_norm_weight, found.post_norm_bias,
                    found.post_norm_eps)
      .value();
}

// The pooled output is its class token.
Tensor pooled(const TowerLevels& found, const Tensor& normed) {
  Tensor result({found.images, found.width}, normed.dtype());
  for (int64_t i = 0; i < found.images; ++i) copy_into(normed[i].slice(0, 1), result.slice(i, i + 1));
  return result;
}

void compare(const Folder& folder, SegmentMode mode, double bound) {
  const TowerLevels found = folder.tower(folder.pixels, folder.levels, nullptr, {}, mode);
  for (int level : folder.levels)
    EXPECT_LT(
        relative_error(found.after_block.at(level).value(), folder.expected.at(concat("levels.", level))),
        bound)
        << "level " << level;
  const Tensor top = normed(found, folder.levels.back());
  if (folder.expected.contains("pooled"))
    EXPECT_LT(relative_error(pooled(found, top), folder.expected.at("pooled")), bound);
  else
    EXPECT_LT(relative_error(top, folder.expected.at("normed")), bound);
  const Variable last = found.after_block.at(folder.levels.back());
  backward(last, cast(folder.expected.at("projection"), last.dtype()));
  EXPECT_LT(relative_error(folder.pixels.grad(), folder.expected.at("grad.pixels")), bound);
}

class TowerGolden : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Folders, TowerGolden,
                         testing::Values("clip/vision_f32", "clip/joint_f32", "towers/siglip_f32",
                                         "towers/siglip_joint_f32", "towers/dinov2_f32",
                                         "towers/dinov2_wider_f32", "towers/registers_f32"));

TEST_P(TowerGolden, Double) {
  for (SegmentMode mode : {SegmentMode::keep, SegmentMode::recompute})
    compare(Folder(GetParam(), DType::f64), mode, 1e-10);
}

TEST_P(TowerGolden, Float) {
  const Folder folder(GetParam(), DType::f32);
  compare(folder, SegmentMode::keep, float_bound(folder.tower.config()));
}

TEST_P(TowerGolden, OneLevelIsThatOfAll) {
  const Folder folder(GetParam(), DType::f64);
  const int first[] = {1};
  const TowerLevels found = folder.tower(folder.pixels, first, nullptr);
  ASSERT_EQ(found.after_block.size(), 1u);
  EXPECT_LT(relative_error(found.after_block.at(1).value(), folder.expected.at("levels.1")), 1e-10);
}

TEST(TowerGoldenNotes, ResampledPositionsAndSkippedTensorsAreTold) {
  EXPECT_THAT(Folder("towers/registers_f32", DType::f32).notes,
              testing::Contains(testing::HasSubstr("6 x 6 patches resampled to 4 x 4")));
  EXPECT_THAT(Folder("towers/siglip_f32", DType::f32).notes,
              testing::Contains(testing::HasSubstr("vision_model.head.")));
}

}  // namespace
}  // namespace dehvf
