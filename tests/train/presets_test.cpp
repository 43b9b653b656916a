// Every configuration that is shipped is a run of known keys, operators and recipes.
#include <gmock/gmock.h>

#include "models/fused_model.h"
#include "train/run_config.h"

namespace dehvf {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> presets() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(DEHVF_SOURCE_DIR) / "configs"))
    if (entry.path().extension() == ".yaml") found.push_back(entry.path());
  return found;
}

TEST(Presets, AreRunsOfKnownKeysAndOperators) {
  for (const fs::path& path : presets()) {
    SCOPED_TRACE(path);
    const RunConfig run = read_run_config(path, {});
    VisionConfig tower =
        path.filename() == "toy.yaml" ? VisionConfig{.layers = 8, .patch = 8, .image = 32} : clip_l14();
    if (run.tower.string().ends_with("-336")) tower.image = 336;
    FusionConfig config(run.fusion_options);
    EXPECT_NO_THROW(make_fusion(run.fusion, fusion_shapes(llama_7b(), tower), config));
    if (path.parent_path().filename() == "papers") EXPECT_EQ(run.out.filename(), path.stem());
  }
  EXPECT_GT(presets().size(), 5u);
}

}  // namespace
}  // namespace dehvf
