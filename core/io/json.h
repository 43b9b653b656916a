// JSON by nlohmann-json, read so that two equal keys are an error instead of one of them vanishing.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace dehvf {

using Json = nlohmann::json;

/// Parses `text`; throws IoError "<what>: ..." on invalid JSON, a repeated key or nesting deeper than 64.
Json parse_json(std::string_view text, std::string_view what);
Json read_json(const std::filesystem::path& path, uint64_t max_bytes = uint64_t(1) << 30);
void write_json(const std::filesystem::path& path, const Json& value);  // indented, atomic

/// The member `key` as T; throws IoError "<what>: key 'key': wanted ..., found ..." when absent or of another
/// type.
template <class T>
T json_get(const Json& object, const char* key, std::string_view what);
/// The same with a default for an absent or null key.
template <class T>
T json_get(const Json& object, const char* key, std::string_view what, const T& fallback);

/// The candidate nearest to `name` by edit distance, for "did you mean"; empty when none is near.
std::string nearest(std::string_view name, std::span<const std::string> candidates);

}  // namespace dehvf
