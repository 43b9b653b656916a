// The demo's frozen models: those that are shipped, or new ones from random weights.
#pragma once

#include <filesystem>

#include "cli/progress.h"
#include "core/device.h"

namespace dehvf::cli {

struct BaseModels {
  std::filesystem::path llama,
      tower;  // folders as Hugging Face's: the first with tokenizer.json, the second with a recipe
};

/// The weights in assets/examples/toy, held against the hashes beside them.
BaseModels shipped_base(const std::filesystem::path& assets);

/// Pre-trains both on our own data (minutes on two cores) and saves them below `folder`, in f16 with their
/// hashes.
BaseModels pretrain_base(const std::filesystem::path& folder, const std::filesystem::path& assets,
                         Device device, Progress& progress);

}  // namespace dehvf::cli
