// The demo's data set "TinySceneQA" in ScienceQA's layout. A third of the problems is text only with the fact
// in the hint (language science), a third asks for colour or texture (social science, grades 1 to 6), a third
// for class or count (natural science, grades 7 to 12). Without the picture, picture questions are at 25%.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/scene_questions.h"
#include "data/scienceqa.h"

namespace dehvf {

struct SceneDataConfig {
  uint64_t seed = 1;
  int64_t train = 4096, val = 512, test = 1024;
};

struct SceneProblem {
  /// topic: colour, texture, class, count, or text; category: shallow, deep or text; skill: the attribute
  /// asked for; image: "image.png" for a problem with a picture.
  Problem problem;
  SceneLabels labels;
  SceneKeys keys;
};

/// All problems with ids 1, 2, ...: train, then val, then test. Needs no files and draws nothing.
std::vector<SceneProblem> plan_scene_data(const SceneWorld& world, const SceneDataConfig& config);

/// The picture of a planned problem.
Image draw_problem(const SceneWorld& world, const SceneProblem& problem);

/// Writes problems.json, pid_splits.json (with trainval and the mini lists), images/ and manifest.json
/// (world, seed, counts, side, XXH3 of texts and pixels) and returns that hash. Same bytes for the same world
/// and config on any number of threads. The folder must not exist or be empty; it appears when all is
/// written. Throws IoError.
uint64_t write_scene_data(const SceneWorld& world, const SceneDataConfig& config,
                          const std::filesystem::path& folder);

}  // namespace dehvf
