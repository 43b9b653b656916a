#include "cli/published.h"

#include "core/error.h"
#include "core/io/file.h"

namespace dehvf::cli {
namespace {

std::filesystem::path file_of(const std::filesystem::path& assets) {
  return assets / "configs" / "published.json";
}

const Json& array(const Json& object, const char* key, const std::string& what) {
  require<IoError>(object.is_object() && object.contains(key) && object[key].is_array(), what, ": key '", key,
                   "': wanted an array");
  return object[key];
}

}  // namespace

std::vector<Json> published_tables(const std::filesystem::path& assets) {
  const auto file = file_of(assets);
  const std::string what = file.string();
  const Json json = read_json(file);
  std::vector<Json> tables;
  for (const Json& table : array(json, "tables", what)) {
    for (const char* key : {"name", "title", "claim", "kind", "data"})
      json_get<std::string>(table, key, what);
    for (const Json& row : array(table, "rows", what))
      json_get<std::string>(row, row.contains("title") ? "title" : "method", what);
    tables.push_back(table);
  }
  return tables;
}

Json published_table(const std::filesystem::path& assets, const std::string& name) {
  std::string known;
  for (const Json& table : published_tables(assets)) {
    if (table["name"] == name) return table;
    known += concat(known.empty() ? "" : ", ", table["name"].get<std::string>());
  }
  fail<ConfigError>("reproduce: no table '", printable(name), "'; there are ", known);
}

std::vector<ToyRow> toy_ablations(const std::filesystem::path& assets) {
  const std::string what = file_of(assets).string();
  std::vector<ToyRow> rows;
  const Json table = published_table(assets, "ablations");
  for (const Json& row : table["rows"]) {
    if (!row.contains("toy")) continue;
    const auto preset =
        json_get<std::string>(row, row.contains("toy_preset") ? "toy_preset" : "preset", what);
    rows.push_back({.name = json_get<std::string>(row, "toy", what),
                    .title = json_get<std::string>(row, "title", what),
                    .group = json_get<std::string>(row, "group", what)});
    if (rows.size() > 1) rows.back().preset = assets / "configs" / (preset + ".yaml");
  }
  return rows;
}

}  // namespace dehvf::cli
