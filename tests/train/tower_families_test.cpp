// Folders of other towers than CLIP's, opened as a run opens them.
#include <gmock/gmock.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "support/temporary_folder.h"
#include "train/open_model.h"

namespace dehvf {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

const fs::path kGolden = fs::path(DEHVF_SOURCE_DIR) / "tests" / "golden";

FusedModelOptions dehvf(const std::string& groups) {
  return {.fusion = "dehvf", .config = FusionConfig({{"groups", groups}, {"slots", "25"}, {"rank", "4"}})};
}

TEST(TowerFamilies, Dinov2TakesPicturesOfItsPreprocessorsSize) {
  const TemporaryFolder folder;
  fs::copy(kGolden / "towers/dinov2_f32", folder.path(), fs::copy_options::recursive);
  Json recipe = to_json(image_recipe("clip_crop", 12));
  recipe["size"] = {{"shortest_edge", 14}};
  recipe.erase("image_recipe");
  write_json(folder / "preprocessor_config.json", recipe);
  FrozenFolders folders(kGolden / "llama/mha_f32", folder.path());
  const auto model = folders.make(dehvf("3"));
  EXPECT_EQ(model->tower().config().image, 12);
  EXPECT_EQ(folders.recipe("", false)->size, 12);
  folders.load(*model, DType::f32);
  EXPECT_THAT(folders.notes(), Contains(HasSubstr("5 x 5 patches resampled to 3 x 3")));
  EXPECT_EQ(model->look(zeros({2, 3, 12, 12})).after_block.at(3).shape(), Shape({2, 10, 24}));
}

TEST(TowerFamilies, WhatDehvfMakesOfADepthAndOfNoClassTokenIsTold) {
  FrozenFolders folders(kGolden / "llama/mha_f32", kGolden / "towers/siglip_f32");
  const auto model = folders.make(dehvf("2"));
  EXPECT_THAT(model->fusion().tower().levels, testing::ElementsAre(2, 3));
  folders.load(*model, DType::f32);
  EXPECT_THAT(folders.notes(), Contains(HasSubstr("3 levels do not divide into 2 groups: the deepest 2")));
  EXPECT_THAT(folders.notes(), Contains(HasSubstr("means of the patches")));
}

}  // namespace
}  // namespace dehvf
