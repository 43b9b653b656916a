// The report of a run, as the demo and the sub-command write it.
#pragma once

#include <filesystem>
#include <string>

namespace dehvf::cli {

/// Reads run/results.json and writes one self-contained HTML page. Returns why there are no plots, or
/// nothing. Throws IoError for results that are missing or damaged.
std::string write_report(const std::filesystem::path& run, const std::filesystem::path& page);

}  // namespace dehvf::cli
