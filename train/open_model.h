// A LLaMA, a tower and an adapter from the files that a user names, as one model ready to run.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "data/recipes.h"
#include "models/fused_model.h"
#include "train/adapter_folder.h"

namespace dehvf {

struct ModelFiles {
  std::filesystem::path llama, tower, adapter;  // the last two may be empty: text only
  /// For an adapter that is one safetensors file, not a folder: its operator and the operator's options;
  /// options that begin with "tower_adapters." (rank, scale, dropout) say that it has adapters in the tower.
  std::string fusion;
  std::map<std::string, std::string> options;
};

struct OpenedModel {
  std::unique_ptr<FusedModel> model;
  std::optional<ImageRecipe> recipe;  // of pictures: the adapter's, else the tower's where its folder has one
  std::vector<std::string> notes;     // for the user
};

/// Everything in `dtype`: the adapter trainable where that is f32 or f64, frozen where it is bf16 or f16.
/// Throws IoError for files and ConfigError for combinations that cannot be used, each in one line.
OpenedModel open_model(const ModelFiles& files, DType dtype);

}  // namespace dehvf
