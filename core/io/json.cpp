#include "core/io/json.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>
#include <vector>

#include "core/error.h"
#include "core/io/file.h"

namespace dehvf {
namespace {

constexpr size_t kMaxDepth = 64;

// Watches the parse: remembers the keys of every open object.
class KeyWatch {
 public:
  explicit KeyWatch(std::string_view what) : what_(what) {}

  bool operator()(int depth, Json::parse_event_t event, Json& value) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start)
      require<IoError>(size_t(depth) < kMaxDepth, what_, ": JSON nested deeper than ", kMaxDepth);
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end) keys_.pop_back();
    if (event == Event::key) {
      const auto& key = value.get_ref<const std::string&>();
      require<IoError>(keys_.back().insert(key).second, what_, ": key '", printable(key), "' stands twice");
    }
    return true;
  }

 private:
  std::string_view what_;
  std::vector<std::unordered_set<std::string>> keys_;
};

template <class T>
bool holds(const Json& value) {
  if constexpr (std::is_same_v<T, bool>)
    return value.is_boolean();
  else if constexpr (std::is_same_v<T, int64_t>)
    return value.is_number_integer();
  else if constexpr (std::is_same_v<T, double>)
    return value.is_number();
  else
    return value.is_string();
}

template <class T>
const char* kind_name() {
  if constexpr (std::is_same_v<T, bool>)
    return "true or false";
  else if constexpr (std::is_same_v<T, int64_t>)
    return "an integer";
  else if constexpr (std::is_same_v<T, double>)
    return "a number";
  else
    return "a string";
}

}  // namespace

Json parse_json(std::string_view text, std::string_view what) {
  // The parser takes a zero byte for the end of its input.
  require<IoError>(text.find('\0') == text.npos, what, ": invalid JSON: contains a zero byte");
  KeyWatch watch(what);
  try {
    return Json::parse(text.begin(), text.end(), std::ref(watch));
  } catch (const Json::exception& error) {
    fail<IoError>(what, ": invalid JSON: ", printable(error.what(), 200));
  }
}

Json read_json(const std::filesystem::path& path, uint64_t max_bytes) {
  return parse_json(read_file(path, max_bytes), path.string());
}

void write_json(const std::filesystem::path& path, const Json& value) {
  write_file(path, value.dump(2) + "\n");
}

template <class T>
T json_get(const Json& object, const char* key, std::string_view what) {
  require<IoError>(object.is_object(), what, ": wanted a JSON object, found ", object.type_name());
  const auto found = object.find(key);
  require<IoError>(found != object.end(), what, ": key '", key, "' is missing");
  require<IoError>(holds<T>(*found), what, ": key '", key, "': wanted ", kind_name<T>(), ", found ",
                   printable(found->dump(-1, ' ', false, Json::error_handler_t::replace), 60));
  return found->get<T>();
}

template <class T>
T json_get(const Json& object, const char* key, std::string_view what, const T& fallback) {
  require<IoError>(object.is_object(), what, ": wanted a JSON object, found ", object.type_name());
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? fallback : json_get<T>(object, key, what);
}

template bool json_get(const Json&, const char*, std::string_view);
template int64_t json_get(const Json&, const char*, std::string_view);
template double json_get(const Json&, const char*, std::string_view);
template std::string json_get(const Json&, const char*, std::string_view);
template bool json_get(const Json&, const char*, std::string_view, const bool&);
template int64_t json_get(const Json&, const char*, std::string_view, const int64_t&);
template double json_get(const Json&, const char*, std::string_view, const double&);
template std::string json_get(const Json&, const char*, std::string_view, const std::string&);

std::string nearest(std::string_view name, std::span<const std::string> candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, name.size() / 2);
  for (const auto& candidate : candidates) {
    std::vector<size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), size_t(0));
    for (size_t i = 0; i < name.size(); ++i) {
      size_t diagonal = row[0]++;
      for (size_t j = 0; j < candidate.size(); ++j) {
        const size_t replaced = diagonal + (name[i] != candidate[j]);
        diagonal = row[j + 1];
        row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
      }
    }
    if (row.back() < best_distance) best = candidate, best_distance = row.back();
  }
  return best;
}

}  // namespace dehvf
