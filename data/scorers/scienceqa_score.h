// ScienceQA's official scoring: nine columns and one row per topic.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/scienceqa.h"
#include "data/scorers/sample_scores.h"

namespace dehvf {

using Predictions = std::map<std::string, int64_t>;  // problem id -> index of the chosen answer; -1 for none

/// A file {"results": {id: index}}; other keys beside "results" are left alone. Throws IoError.
Predictions read_predictions(const std::filesystem::path& path);
void write_predictions(const std::filesystem::path& path, const Predictions& predictions);

struct ScoreRow {
  std::string name;
  int64_t right = 0, of = 0;
  std::string percent() const;  // two decimals as the official tool prints them, "-" for an empty column
};

struct ScienceQaScore {
  /// NAT SOC LAN by subject; TXT (a hint), IMG (a picture), NO (neither): TXT and IMG overlap; G1-6 G7-12;
  /// Avg.
  std::vector<ScoreRow> columns;
  std::vector<ScoreRow> topics;  // by name
  int64_t invalid = 0;           // predictions that name no choice; they count as wrong

  const ScoreRow& column(const std::string& name) const;
};

/// Scores a list of pid_splits.json. Every id of the list must be predicted and no other; `what` (a path)
/// begins the message where that is not so.
ScienceQaScore score_scienceqa(const ScienceQa& data, const std::string& split,
                               const Predictions& predictions, const std::string& what);

/// The columns as figures, Avg first, without empty ones; a sample is right or wrong. Refuses as
/// score_scienceqa() does.
SampleScores sample_scores(const ScienceQa& data, const std::string& split, const Predictions& predictions,
                           const std::string& what);

/// score_scienceqa() for problems at hand, each of which has a prediction.
ScienceQaScore score_problems(std::span<const Problem> problems, const Predictions& predictions);

}  // namespace dehvf
