// What papers report, as configs/published.json has it, and which of it the toy can show.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/io/json.h"

namespace dehvf::cli {

/// The tables and claims in their order, each an object with name, title, claim, kind, rows. Throws IoError
/// for a file that is damaged.
std::vector<Json> published_tables(const std::filesystem::path& assets);
/// Throws ConfigError naming those there are.
Json published_table(const std::filesystem::path& assets, const std::string& name);

struct ToyRow {
  std::string name, title, group;
  std::filesystem::path preset;  // its own keys go over configs/toy.yaml; empty: configs/toy.yaml itself
};
/// Rows of the table of ablations that the toy has, DEHVF first.
std::vector<ToyRow> toy_ablations(const std::filesystem::path& assets);

}  // namespace dehvf::cli
