// One YAML file a run, with key=value overrides: what is trained, on what, how. Unknown keys are refused.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "data/recipes.h"
#include "models/fused_model.h"
#include "train/adapter_task.h"

namespace dehvf {

struct RunConfig {
  std::filesystem::path model, tower, data, out;  // folders; a relative one is taken from the current folder
  std::string fusion = "dehvf";
  std::map<std::string, std::string> fusion_options;  // keys below `fusion.`
  bool tower_adapters = true;
  TowerAdapterConfig adapters;
  LlamaTuning tuning;               // what of the language model is trained
  std::filesystem::path lora_from;  // a PEFT folder that LoRA begins at, which then says rank, alpha, ...
  PromptOptions prompt;
  std::string image_recipe;     // empty: what the tower's preprocessor_config.json says
  bool image_mismatch = false;  // whether a recipe named may have another mean or deviation than the tower's
  std::string train_split = "train", eval_split = "test";
  double epochs = 20, warmup_epochs = 2, rate = 1.125e-3, weight_decay = 0.02, clip = 0;
  AdapterTask::Options batches;
  int64_t checkpoint_every = 500, log_every = 10;
  int64_t limit = 0;            // only the first problems of each split; 0 takes all
  DType dtype = DType::f32;     // of the frozen weights and the activations
  std::string device = "auto";  // as chosen_device() takes it
  AttentionForm attention = AttentionForm::fused;
  bool find_nan = false, graphs = true;        // as TrainerOptions have them
  std::map<std::string, std::string> kernels;  // slot -> variant, keys below `kernels.`

  /// Every key with its value, as YAML that reads back to the same run.
  std::string resolved() const;
  FusedModelOptions model_options() const;
  /// resolved() without what a run may change when it is resumed: device, find_nan and graphs.
  std::string identity() const;
};

/// Reads `path` (empty: nothing but the overrides), whose key `base` may name a file (relative to its own
/// folder) that says what it leaves out itself; a key that is null (~) takes the base's value away. Then
/// applies `overrides` ("train.rate=1e-3"). A `base` given here stands in place of the one that `path` names.
/// Throws ConfigError naming key, wanted and found, the nearest key for an unknown one, and IoError for YAML
/// that does not parse.
RunConfig read_run_config(const std::filesystem::path& path, std::span<const std::string> overrides,
                          const std::filesystem::path& base = {});

}  // namespace dehvf
