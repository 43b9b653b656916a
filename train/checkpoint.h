// Checkpoints of a training run: one safetensors file a step with the flat buffers by path
// (value.<path>, moment1.<path>, moment2.<path>) and a checksummed JSON state in its metadata.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/trainer.h"

namespace dehvf {

struct TrainState {
  Trainer::Counters counters;
  std::string cursor;  // of the task: where its data stand
  uint64_t seed = 0;
  std::string config_hash;  // of all that must not change between a run and its continuation

  friend bool operator==(const TrainState&, const TrainState&) = default;
};

/// Writes `folder`/step_<number>.safetensors (a reader sees all of it or nothing), then removes what it
/// supersedes: all but the newest two, those of later steps, and temporary files of a run that was killed.
void save_checkpoint(const std::filesystem::path& folder, const FlatParameters& flat,
                     const TrainState& state);

/// Fills the buffers of `flat` and returns the rest. Throws IoError when the file is damaged (any bit of it)
/// and ConfigError when it is whole but of another model, listing every missing, extra and mis-shaped tensor;
/// `flat` is then unchanged.
TrainState load_checkpoint(const std::filesystem::path& path, const FlatParameters& flat);

std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& folder);  // newest first

/// Loads the newest whole checkpoint; every damaged one met before it is described in `notes`. Empty when the
/// folder holds none at all; throws IoError when it holds only damaged ones, ConfigError as
/// load_checkpoint().
std::optional<TrainState> load_latest_checkpoint(const std::filesystem::path& folder,
                                                 const FlatParameters& flat, std::vector<std::string>& notes);

}  // namespace dehvf
