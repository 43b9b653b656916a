#include "data/scorers/scienceqa_score.h"

#include <algorithm>
#include <cstdio>
#include <unordered_set>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"

namespace dehvf {
namespace {

struct Column {
  const char* name;
  bool (*holds)(const Problem&);
};

constexpr Column kColumns[] = {
    {"NAT", [](const Problem& p) { return p.subject == "natural science"; }},
    {"SOC", [](const Problem& p) { return p.subject == "social science"; }},
    {"LAN", [](const Problem& p) { return p.subject == "language science"; }},
    {"TXT", [](const Problem& p) { return !p.hint.empty(); }},
    {"IMG", [](const Problem& p) { return !p.image.empty(); }},
    {"NO", [](const Problem& p) { return p.hint.empty() && p.image.empty(); }},
    {"G1-6", [](const Problem& p) { return p.grade <= 6; }},
    {"G7-12", [](const Problem& p) { return p.grade >= 7; }},
    {"Avg", [](const Problem&) { return true; }},
};

void add(ScoreRow& row, bool right) {
  row.right += right;
  ++row.of;
}

std::string first_few(const std::vector<std::string>& ids) {
  std::string list;
  for (size_t i = 0; i < std::min<size_t>(ids.size(), 10); ++i)
    list += (i == 0 ? "" : ", ") + printable(ids[i], 40);
  return list + (ids.size() > 10 ? ", ..." : "");
}

void require_same_ids(const std::vector<std::string>& ids, const std::string& split,
                      const Predictions& predictions, const std::string& what) {
  std::vector<std::string> missing, extra;
  const std::unordered_set<std::string> wanted(ids.begin(), ids.end());
  for (const auto& id : ids)
    if (!predictions.contains(id)) missing.push_back(id);
  for (const auto& entry : predictions)
    if (!wanted.contains(entry.first)) extra.push_back(entry.first);
  require<IoError>(missing.empty(), what, ": wanted a prediction for each of the ", ids.size(),
                   " problems of '", printable(split, 60), "', ", missing.size(),
                   " missing: ", first_few(missing));
  require<IoError>(extra.empty(), what, ": ", extra.size(), " predictions are not for problems of '",
                   printable(split, 60), "': ", first_few(extra));
}

}  // namespace

Predictions read_predictions(const std::filesystem::path& path) {
  const Json json = read_json(path);
  const bool fits = json.is_object() && json.contains("results") && json["results"].is_object();
  require<IoError>(fits, path.string(), ": wanted {\"results\": {id: index}}, found ", json.type_name(),
                   json.is_object() ? " without such a key" : "");
  Predictions predictions;
  for (const auto& [id, index] : json["results"].items()) {
    require<IoError>(index.is_number_integer(), path.string(), ": problem '", printable(id, 60),
                     "': wanted the index of a choice, found ",
                     printable(index.dump(-1, ' ', false, Json::error_handler_t::replace), 60));
    predictions[id] = index.get<int64_t>();
  }
  return predictions;
}

void write_predictions(const std::filesystem::path& path, const Predictions& predictions) {
  write_json(path, {{"results", predictions}});
}

std::string ScoreRow::percent() const {
  if (of == 0) return "-";
  char text[16];
  std::snprintf(text, sizeof text, "%.2f", double(right) / double(of) * 100);
  return text;
}

const ScoreRow& ScienceQaScore::column(const std::string& name) const {
  const auto found = std::ranges::find(columns, name, &ScoreRow::name);
  require<Error>(found != columns.end(), "ScienceQA score: there is no column '", printable(name, 40), "'");
  return *found;
}

ScienceQaScore score_scienceqa(const ScienceQa& data, const std::string& split,
                               const Predictions& predictions, const std::string& what) {
  const auto& ids = data.split(split);
  require_same_ids(ids, split, predictions, what);
  std::vector<Problem> problems;
  for (const auto& id : ids) problems.push_back(data.problem(id));
  return score_problems(problems, predictions);
}

SampleScores sample_scores(const ScienceQa& data, const std::string& split, const Predictions& predictions,
                           const std::string& what) {
  const ScienceQaScore score = score_scienceqa(data, split, predictions, what);
  SampleScores result{.figures = {}, .samples = {}, .right_or_wrong = true};
  for (const ScoreRow& row : score.columns)
    if (row.of > 0) result.figures.emplace_back(row.name, double(row.right) / double(row.of));
  if (!result.figures.empty())  // Avg, the last
    std::rotate(result.figures.begin(), result.figures.end() - 1, result.figures.end());
  for (const auto& id : data.split(split))
    result.samples.push_back(predictions.at(id) == data.problem(id).answer);
  return result;
}

ScienceQaScore score_problems(std::span<const Problem> problems, const Predictions& predictions) {
  ScienceQaScore score;
  for (const Column& column : kColumns) score.columns.push_back({column.name});
  std::map<std::string, ScoreRow> topics;
  for (const Problem& problem : problems) {
    const int64_t chosen = predictions.at(problem.id);
    const bool right = chosen == problem.answer;
    score.invalid += chosen < 0 || chosen >= int64_t(problem.choices.size());
    for (size_t i = 0; i < score.columns.size(); ++i)
      if (kColumns[i].holds(problem)) add(score.columns[i], right);
    add(topics.try_emplace(problem.topic, ScoreRow{problem.topic}).first->second, right);
  }
  for (auto& entry : topics) score.topics.push_back(std::move(entry.second));
  return score;
}

}  // namespace dehvf
