#include "data/scorers/record_file.h"

#include <charconv>

#include "core/error.h"
#include "core/io/file.h"

namespace dehvf {
namespace {

constexpr uint64_t kMaxBytes = uint64_t(2) << 30;

const Json& member(const Record& record, const char* key) {
  const auto found = record.json.find(key);
  require<IoError>(found != record.json.end(), record.what, ": key '", key, "' is missing");
  return *found;
}

void visit_object(const Json& value, std::string what, const OnRecord& visit) {
  require<IoError>(value.is_object(), what, ": wanted an object, found ", shown(value));
  visit({value, std::move(what)});
}

}  // namespace

std::string shown(const Json& value) {
  return printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

std::string Record::text(const char* key) const { return json_get<std::string>(json, key, what); }

const Json& Record::list(const char* key) const {
  const Json& value = member(*this, key);
  require<IoError>(value.is_array(), what, ": key '", key, "': wanted a list, found ", shown(value));
  return value;
}

std::string Record::id(const char* key) const {
  const Json& value = member(*this, key);
  require<IoError>(value.is_string() || value.is_number_integer(), what, ": key '", key,
                   "': wanted an integer or a string, found ", shown(value));
  return value.is_string() ? value.get<std::string>() : value.dump();
}

Json json_id(const std::string& id) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  const bool is_number = error == std::errc{} && end == id.data() + id.size() && concat(number) == id;
  return is_number ? Json(number) : Json(id);
}

void each_record(const Json& value, const std::string& what, const OnRecord& visit) {
  require<IoError>(value.is_array(), what, ": wanted a list of objects, found ", shown(value));
  for (size_t i = 0; i < value.size(); ++i) visit_object(value[i], concat(what, "[", i, "]"), visit);
}

void each_record(const std::filesystem::path& path, const char* key, const OnRecord& visit) {
  const Json json = read_json(path, kMaxBytes);
  if (json.is_array()) return each_record(json, path.string() + ": record", visit);
  const bool fits = json.is_object() && json.contains(key);
  require<IoError>(fits, path.string(), ": wanted a list of objects, or an object with '", key, "', found ",
                   shown(json));
  each_record(json[key], concat(path.string(), ": ", key), visit);
}

void each_line_record(const std::filesystem::path& path, const OnRecord& visit) {
  const std::string text = read_file(path, kMaxBytes);
  const size_t first = text.find_first_not_of(" \t\r\n");
  require<IoError>(first != text.npos, path.string(), ": wanted one JSON object a line, found an empty file");
  if (text[first] == '[')
    return each_record(parse_json(text, path.string()), path.string() + ": record", visit);
  size_t number = 1;
  for (size_t begin = 0; begin < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    const std::string what = concat(path.string(), ": line ", number);
    if (line.find_first_not_of(" \t\r") != line.npos) visit_object(parse_json(line, what), what, visit);
    begin = end + 1;
  }
}

}  // namespace dehvf
