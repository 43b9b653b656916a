// Several adapters between the same two frozen models on the same data, each trained and held against its
// controls.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "train/evaluate.h"
#include "train/toy.h"

namespace dehvf {

struct RowSpec {
  std::string name, title;
  std::string group;  // of ablations, for the report
  std::string fusion = "dehvf";
  std::map<std::string, std::string> options;  // of the operator
  bool tower_adapters = false;
  TowerAdapterConfig adapters;
  double rate = 4e-3;  // peak
  std::vector<std::pair<std::string, Show>>
      controls;  // further evaluations of the trained adapter: row name, how
};

struct ComparisonOptions {
  int64_t steps = 1000, batch = 64;
  Device device;
  std::string split = "test";  // that rows are judged on
  int examples = 6;            // kept for the report, of the row named "dehvf"
};

/// What every row shares: the models' folders, the tokenizer and a data set in ScienceQA's layout.
class Comparison {
 public:
  Comparison(std::filesystem::path llama, std::filesystem::path tower, std::filesystem::path data,
             const ComparisonOptions& options);

  using Progress = std::function<void(const RowSpec&, const StepReport&)>;
  /// Trains one adapter (not for fusion "none"); returns one JSON object a row, the trained one first: name,
  /// title, seed, accuracy_{image,text,all}, low95 and high95 of the image accuracy, right and of, by topic,
  /// seconds; of trained rows also loss curve, options, parameters trained and frozen, and insight().
  std::vector<Json> run(const RowSpec& spec, uint64_t seed, const Progress& progress);

 private:
  struct Set {
    std::vector<Problem> problems;
    std::vector<Question> questions;
    Tensor pixels;
  };
  std::unique_ptr<FusedModel> make_model(const RowSpec& spec) const;
  Set read_set(const ScienceQa& data, const std::string& split) const;
  Json evaluate(const FusedModel& model, const PictureSource* pictures, Show show,
                std::vector<Ranking>* rankings) const;
  Json keep_examples(const std::vector<Ranking>& rankings) const;

  std::filesystem::path llama_, tower_;
  ComparisonOptions options_;
  std::unique_ptr<Tokenizer> tokenizer_;
  ImageRecipe recipe_;
  std::vector<Example> train_;
  Tensor train_pixels_;
  Set test_;
};

}  // namespace dehvf
