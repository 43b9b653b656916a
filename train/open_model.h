// A LLaMA, a tower and an adapter from the files that a user names, as one model ready to run or to be
// trained.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "data/recipes.h"
#include "models/fused_model.h"
#include "models/weight_folder.h"
#include "train/adapter_folder.h"

namespace dehvf {

/// The folders of the two frozen models, opened: configs and headers are read, weights are not.
class FrozenFolders {
 public:
  /// `tower` may be empty: text only. Throws IoError and ConfigError for what cannot be read.
  FrozenFolders(const std::filesystem::path& llama, const std::filesystem::path& tower);

  /// Models without values; `options` say what is between them.
  std::unique_ptr<FusedModel> make(FusedModelOptions options) const;
  void load(FusedModel& model, DType dtype);  // their weights, frozen

  /// The recipe named; without a name that of the tower's preprocessor_config.json, where there is one (its
  /// name is then empty where it is none of the known). Throws ConfigError where pictures would not have the
  /// tower's size, and where mean or deviation of the recipe named are not the tower's, unless
  /// `mismatch_is_meant`. Other differences become notes.
  std::optional<ImageRecipe> recipe(const std::string& name, bool mismatch_is_meant);

  std::string llama_fingerprint() const { return llama_.fingerprint(); }
  std::string tower_fingerprint() const { return tower_ ? tower_->fingerprint() : ""; }
  std::vector<std::string>& notes() { return notes_; }  // for the user

 private:
  WeightFolder llama_;
  std::optional<WeightFolder> tower_;
  std::vector<std::string> notes_;
  LlamaConfig llama_config_;
  VisionConfig tower_config_;
};

/// read_adapter_config(), and a PEFT folder of LoRA as what it is here: a tuning without an operator.
AdapterDescription describe_adapter(const std::filesystem::path& folder);

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
