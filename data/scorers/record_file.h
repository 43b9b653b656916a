// The JSON files that benchmarks exchange: lists of records, every one of which is named by its index when
// something is wrong with it.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "core/io/json.h"

namespace dehvf {

/// One record and the words that a message about it begins with: "FILE: annotations[3]".
struct Record {
  const Json& json;
  std::string what;

  /// The members; throw IoError naming wanted and found.
  std::string text(const char* key) const;
  const Json& list(const char* key) const;
  std::string id(const char* key) const;  // a string or an integer, as a string
};

using OnRecord = std::function<void(const Record&)>;

/// The objects of the list `value`, named `what`[index].
void each_record(const Json& value, const std::string& what, const OnRecord& visit);
/// The objects of the list that is the whole file, or stands in it under `key`.
void each_record(const std::filesystem::path& path, const char* key, const OnRecord& visit);
/// A file of one JSON object a line, or of one list of them.
void each_line_record(const std::filesystem::path& path, const OnRecord& visit);

/// What Record::id() read, as the number that it is where it is one.
Json json_id(const std::string& id);

/// What was found where something else was wanted, cut short for a message.
std::string shown(const Json& value);

}  // namespace dehvf
