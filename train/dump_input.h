// What `dehvf dump` is told to run on: a JSON file of token ids, and pictures or pixels.
#pragma once

#include <optional>
#include <span>

#include "data/recipes.h"
#include "models/dump.h"

namespace dehvf {

/// `tokens` is {"samples": [{"tokens": [...], "labels": [...], "image": 0}, ...]}; labels (-100: none) and
/// image (null: none) may be left out. `images` are PNG or JPEG files, prepared by `recipe`, or one
/// safetensors file with a tensor "pixels" [images, 3, side, side]. Throws IoError and ConfigError.
DumpInput read_dump_input(const std::filesystem::path& tokens, std::span<const std::filesystem::path> images,
                          const std::optional<ImageRecipe>& recipe);

}  // namespace dehvf
