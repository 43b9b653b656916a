// What results.json of a run says, checked.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/io/json.h"

namespace dehvf::cli {

struct RunExample {
  std::string image;  // relative to the run's folder
  std::string question;
  std::vector<std::string> choices;
  std::vector<double> log_likelihood;  // of each choice
  size_t answer = 0, chosen = 0;
};

struct RunRow {
  std::string name, title, data;
  std::string group;          // of ablations; empty for a row of none
  std::string evaluation_of;  // the trained row that this one evaluates otherwise; empty for a row of its own
  int64_t seed = 0, steps = 0, parameters = 0, frozen_parameters = 0;
  double image = 0, low = 0, high = 0, text = 0, all = 0, seconds = 0;  // accuracies, 95% interval of `image`
  std::map<std::string, double> by_topic;
  std::vector<RunExample> examples;
};

struct RunResults {
  std::string mode;
  double seconds = 0;
  std::vector<RunRow> rows;

  std::vector<std::string> kinds() const;  // of data, in order of appearance
};

/// Throws IoError "<what>: ..." for a missing key, a wrong type or a value out of its range.
RunResults read_results(const Json& json, const std::string& what);

}  // namespace dehvf::cli
