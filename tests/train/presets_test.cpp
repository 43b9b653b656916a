// Every configuration that is shipped is a run of known keys, operators and recipes.
#include <gmock/gmock.h>

#include "core/io/file.h"
#include "models/fused_model.h"
#include "models/published_shapes.h"
#include "support/message.h"
#include "support/temporary_folder.h"
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
    const bool small = path.filename().string().starts_with("toy"),
               named = path.parent_path().filename() != "configs";
    const VisionConfig tower = small ? VisionConfig{.layers = 8, .patch = 8, .image = 32}
                               : named && !run.tower.empty() ? published_tower(run.tower.string())
                                                             : clip_l14();
    FusionConfig config(run.fusion_options);
    EXPECT_NO_THROW(make_fusion(run.fusion, fusion_shapes(llama_7b(), tower), config));
    if (path.parent_path().filename() != "configs") EXPECT_EQ(run.out.filename(), path.stem());
  }
  EXPECT_GT(presets().size(), 5u);
}

TEST(Presets, AblationsDifferFromTheirBase) {
  const auto configs = fs::path(DEHVF_SOURCE_DIR) / "configs";
  std::map<std::string, fs::path> runs;  // what is run, without where it goes
  const auto run_of = [](const fs::path& path) {
    RunConfig run = read_run_config(path, {});
    run.out.clear();
    return run.resolved();
  };
  runs[run_of(configs / "papers/dehvf-7b.yaml")] = "dehvf-7b";
  runs[run_of(configs / "papers/memvp-7b.yaml")] = "memvp-7b";
  for (const auto& entry : fs::directory_iterator(configs / "ablations")) {
    const auto [same, is_new] = runs.emplace(run_of(entry.path()), entry.path());
    EXPECT_TRUE(is_new) << entry.path() << " is " << same->second;
    EXPECT_THAT(read_file(entry.path()), testing::ContainsRegex("^# .*(Published:|Not reported)"))
        << entry.path();
  }
  EXPECT_GT(runs.size(), 15u);
}

TEST(Presets, ABaseSaysWhatAFileLeavesOut) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "papers");
  write_file(folder / "papers/first.yaml",
             "model: a\nfusion:\n  groups: 4\n  blocks: 2\ntrain:\n  rate: 0.5\n");
  write_file(folder / "second.yaml", "base: papers/first.yaml\nfusion:\n  blocks: ~\ntrain:\n  rate: 0.25\n");
  write_file(folder / "third.yaml", "base: second.yaml\nfusion.groups: 2\n");
  const RunConfig run = read_run_config(folder / "third.yaml", std::vector<std::string>{"model=b"});
  EXPECT_EQ(run.model, "b");
  EXPECT_EQ(run.rate, 0.25);
  EXPECT_EQ(run.fusion_options, (std::map<std::string, std::string>{{"groups", "2"}}));
  EXPECT_THAT(run.resolved(), testing::Not(testing::HasSubstr("base")));
  write_file(folder / "other.yaml", "model: c\nfusion:\n  blocks: 3\n");
  const RunConfig moved = read_run_config(folder / "second.yaml", {}, folder / "other.yaml");
  EXPECT_EQ(moved.model, "c");
  EXPECT_EQ(moved.rate, 0.25);
  EXPECT_TRUE(moved.fusion_options.empty());
  write_file(folder / "papers/first.yaml", "base: ../third.yaml\n");
  EXPECT_THAT(message_of<ConfigError>([&] { read_run_config(folder / "third.yaml", {}); }),
              testing::HasSubstr("base of itself"));
  write_file(folder / "third.yaml", "model: ~\n");
  EXPECT_THAT(message_of<ConfigError>([&] { read_run_config(folder / "third.yaml", {}); }),
              testing::HasSubstr("key 'model' is empty"));
  write_file(folder / "third.yaml", "base: none.yaml\n");
  EXPECT_THAT(message_of<IoError>([&] { read_run_config(folder / "third.yaml", {}); }),
              testing::HasSubstr("none.yaml"));
}

}  // namespace
}  // namespace dehvf
