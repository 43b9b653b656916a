// The CLIP tower against transformers: every level and the gradient of the pixels.
#include <numeric>

#include <gtest/gtest.h>

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/norm.h"
#include "golden_models/fixture.h"
#include "models/clip_vit.h"

namespace dehvf {
namespace {

struct Folder {
  Folder(const std::string& name, DType dtype)
      : expected(load_safetensors(golden("clip/" + name + "_expected.safetensors"))),
        tower(read_clip_config(golden("clip/" + name))),
        levels(size_t(tower.config().layers)),
        pixels(Variable::parameter(cast(expected.at("pixels"), dtype), "pixels")) {
    load_from(tower, load_safetensors(golden("clip/" + name + "/model.safetensors")), dtype, false);
    std::iota(levels.begin(), levels.end(), 1);
  }
  Tensors expected;
  ClipVit tower;
  std::vector<int> levels;
  Variable pixels;
};

// Products behind one another: patches, and four a block.
double float_bound(const ClipConfig& config) {
  return 4 * 0x1p-24 * std::sqrt(double(config.mlp)) * (4 * config.layers + 1);
}

// The pooled output is the class token of the last level after the post norm.
Tensor pooled(const TowerLevels& found, int level) {
  const Variable normed = layer_norm(found.after_block.at(level), found.post_norm_weight,
                                     found.post_norm_bias, found.post_norm_eps);
  Tensor result({found.images, found.width}, normed.dtype());
  for (int64_t i = 0; i < found.images; ++i) copy_into(normed.value()[i].slice(0, 1), result.slice(i, i + 1));
  return result;
}

void compare(const Folder& folder, SegmentMode mode, double bound) {
  const TowerLevels found = folder.tower(folder.pixels, folder.levels, nullptr, {}, mode);
  for (int level : folder.levels)
    EXPECT_LT(
        relative_error(found.after_block.at(level).value(), folder.expected.at(concat("levels.", level))),
        bound)
        << "level " << level;
  EXPECT_LT(relative_error(pooled(found, folder.levels.back()), folder.expected.at("pooled")), bound);
  const Variable last = found.after_block.at(folder.levels.back());
  backward(last, cast(folder.expected.at("projection"), last.dtype()));
  EXPECT_LT(relative_error(folder.pixels.grad(), folder.expected.at("grad.pixels")), bound);
}

class ClipGolden : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Folders, ClipGolden, testing::Values("vision_f32", "joint_f32"));

TEST_P(ClipGolden, Double) {
  for (SegmentMode mode : {SegmentMode::keep, SegmentMode::recompute})
    compare(Folder(GetParam(), DType::f64), mode, 1e-10);
}

TEST_P(ClipGolden, Float) {
  const Folder folder(GetParam(), DType::f32);
  compare(folder, SegmentMode::keep, float_bound(folder.tower.config()));
}

TEST_P(ClipGolden, OneLevelIsThatOfAll) {
  const Folder folder(GetParam(), DType::f64);
  const int first[] = {1};
  const TowerLevels found = folder.tower(folder.pixels, first, nullptr);
  ASSERT_EQ(found.after_block.size(), 1u);
  EXPECT_LT(relative_error(found.after_block.at(1).value(), folder.expected.at("levels.1")), 1e-10);
}

}  // namespace
}  // namespace dehvf
