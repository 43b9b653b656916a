// The two kinds of demo data by name: scenes (drawn shapes) and pictures (real ones, from the assets).
#pragma once

#include <filesystem>
#include <string>

#include "data/scene_world.h"

namespace dehvf::cli {

SceneWorld open_world(const std::string& kind, const std::filesystem::path& assets);

}  // namespace dehvf::cli
