// How the demo's data sets come to disk: pictures, and the page that says what was made.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "data/scene_generator.h"

namespace dehvf {

/// Writes a PNG where its folders may not exist yet, and returns the XXH3 of its pixels. Not flushed: for the
/// thousands of files of a folder that gets its name when all of them are there. Throws IoError.
uint64_t write_scene_picture(const std::filesystem::path& path, const Image& image);

/// Text with its hash put behind the others.
void write_scene_text(const std::filesystem::path& path, const std::string& text,
                      std::vector<uint64_t>& hashes);

/// manifest.json: kind, seed, counts, side and one hash of all those given, which is returned.
uint64_t write_scene_manifest(const std::filesystem::path& folder, const SceneWorld& world,
                              const SceneDataConfig& config, const std::string& format,
                              std::span<const uint64_t> hashes);

}  // namespace dehvf
