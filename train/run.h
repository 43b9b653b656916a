// A run from its configuration: the models, the data and the adapter that it trains or evaluates.
#pragma once

#include <memory>
#include <optional>

#include "models/lora_folder.h"
#include "train/adapter_folder.h"
#include "train/data_source.h"
#include "train/evaluate.h"
#include "train/planned_model.h"
#include "train/run_config.h"

namespace dehvf {

/// One split as a model reads it, with its pictures.
struct SplitData {
  std::vector<Example> examples;  // filled for training
  std::unique_ptr<Exam> exam;     // there for evaluation
  std::unique_ptr<PictureSource> pictures;
};
enum class Use : uint8_t { training, evaluation };

class Run {
 public:
  /// Opens models, tokenizer and data. The model stands on the CPU until its adapter was given values and it
  /// is moved to device(). Throws ConfigError for image statistics that the tower was not trained
  /// on, unless the config says that it is meant (image_mismatch).
  /// For training the texts of train_split are read first, and where a step of them does not fit the device
  /// it throws ConfigError with the numbers before any weight is read.
  explicit Run(RunConfig config, Use use = Use::evaluation);

  const RunConfig& config() const { return config_; }
  FusedModel& model() { return *model_; }
  /// Gives what is trained the values that it begins at.
  void begin(uint64_t seed);
  Device device() const { return device_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const std::vector<std::string>& notes() const { return notes_; }
  /// How many steps a training of so many examples takes.
  int64_t steps(size_t examples) const;
  /// Of training: what its largest step was planned to do and to hold, the kept levels of pictures included.
  const PlannedWork& forecast() const { return forecast_; }
  /// The first `limit` of a split. Throws ConfigError where a sample would have no labelled token or not as
  /// many pictures as the model takes, IoError where a picture is missing.
  SplitData load(const std::string& split, Use use);
  AdapterDescription description(int64_t training_step) const;
  /// Throws ConfigError where an adapter was trained with another operator, or other models, recipe or prompt
  /// than this run's.
  void check(const AdapterDescription& adapter) const;

 private:
  struct Texts {
    std::vector<Example> examples;
    std::vector<std::filesystem::path> pictures;
  };
  Texts read_texts(const std::string& split) const;
  std::unique_ptr<PictureSource> open_pictures(std::vector<std::filesystem::path> paths, Use use) const;
  bool looks() const;  // whether the operator takes any pictures
  void require_pictures(const PicturePaths& paths, int64_t sample, const std::string& split) const;
  bool caches(size_t pictures) const;  // whether training keeps their levels
  PlannedWork plan(const Texts& texts) const;
  /// Bytes of pictures that are decoded before their micro-batch, at the most, beside its `own`: on the CPU
  /// they stand in the same memory.
  size_t pixels_ahead(const Texts& texts, int64_t own) const;

  RunConfig config_;
  Device device_;
  std::vector<std::string> notes_;
  std::unique_ptr<Tokenizer> tokenizer_;
  ImageRecipe recipe_;  // without a tower: none
  std::unique_ptr<FusedModel> model_;
  std::optional<LoraAdapter> lora_;  // that LoRA begins at
  std::unique_ptr<DataSource> data_;
  std::optional<Texts> texts_;  // of train_split, until they are loaded
  PlannedWork forecast_;
  std::string base_fingerprint_, tower_fingerprint_;
};

}  // namespace dehvf
