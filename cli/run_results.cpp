#include "cli/run_results.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/io/file.h"

namespace dehvf::cli {
namespace {

double number(const Json& object, const char* key, const std::string& what, double high) {
  const double value = json_get<double>(object, key, what);
  require<IoError>(value >= 0 && value <= high, what, ": key '", key, "': wanted 0 to ", high, ", found ",
                   value);
  return value;
}

const Json& array(const Json& object, const char* key, const std::string& what) {
  require<IoError>(object.is_object() && object.contains(key) && object.at(key).is_array(), what, ": key '",
                   key, "': wanted an array");
  return object.at(key);
}

template <class T>
std::vector<T> values(const Json& object, const char* key, const std::string& what) {
  try {
    return array(object, key, what).get<std::vector<T>>();
  } catch (const Json::exception&) {
    fail<IoError>(what, ": key '", key, "': an element has another type than wanted");
  }
}

size_t index(const Json& object, const char* key, const std::string& what, size_t count) {
  const int64_t value = json_get<int64_t>(object, key, what);
  require<IoError>(value >= 0 && size_t(value) < count, what, ": key '", key, "': ", value,
                   " is none of the ", count, " choices");
  return size_t(value);
}

RunExample read_example(const Json& json, const std::string& what) {
  RunExample example{.image = json_get<std::string>(json, "image", what),
                     .question = json_get<std::string>(json, "question", what),
                     .choices = values<std::string>(json, "choices", what),
                     .log_likelihood = values<double>(json, "log_likelihood", what)};
  require<IoError>(example.choices.size() == example.log_likelihood.size(), what, ": ",
                   example.choices.size(), " choices, but ", example.log_likelihood.size(), " likelihoods");
  example.answer = index(json, "answer", what, example.choices.size());
  example.chosen = index(json, "chosen", what, example.choices.size());
  return example;
}

RunRow read_row(const Json& json, const std::string& what) {
  RunRow row{.name = json_get<std::string>(json, "name", what),
             .title = json_get<std::string>(json, "title", what),
             .data = json_get<std::string>(json, "data", what),
             .group = json_get<std::string>(json, "group", what, std::string()),
             .evaluation_of = json_get<std::string>(json, "evaluation_of", what, std::string()),
             .seed = json_get<int64_t>(json, "seed", what),
             .steps = json_get<int64_t>(json, "steps", what, int64_t(0)),
             .parameters = json_get<int64_t>(json, "parameters", what, int64_t(0)),
             .frozen_parameters = json_get<int64_t>(json, "frozen_parameters", what, int64_t(0)),
             .image = number(json, "accuracy_image", what, 1),
             .low = number(json, "low95", what, 1),
             .high = number(json, "high95", what, 1),
             .text = number(json, "accuracy_text", what, 1),
             .all = number(json, "accuracy_all", what, 1),
             .seconds = number(json, "seconds", what, 1e9)};
  const Json topics = json.value("by_topic", Json());
  require<IoError>(topics.is_object(), what, ": key 'by_topic': wanted an object");
  for (const auto& [topic, unused] : topics.items())
    row.by_topic[topic] = number(topics, topic.c_str(), what + ": by_topic", 1);
  if (!json.contains("examples")) return row;
  for (const Json& example : array(json, "examples", what))
    row.examples.push_back(read_example(example, concat(what, ": examples[", row.examples.size(), "]")));
  return row;
}

}  // namespace

std::vector<std::string> RunResults::kinds() const {
  std::vector<std::string> result;
  for (const RunRow& row : rows)
    if (std::find(result.begin(), result.end(), row.data) == result.end()) result.push_back(row.data);
  return result;
}

RunResults read_results(const Json& json, const std::string& what) {
  RunResults results{.mode = json_get<std::string>(json, "mode", what),
                     .seconds = number(json, "seconds", what, 1e9),
                     .rows = {}};
  for (const Json& row : array(json, "rows", what))
    results.rows.push_back(read_row(row, concat(what, ": rows[", results.rows.size(), "]")));
  require<IoError>(!results.rows.empty(), what, ": no rows");
  return results;
}

}  // namespace dehvf::cli
