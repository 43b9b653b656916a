// The report of a run as one HTML page that needs nothing from outside: style, plots and pictures are in it.
#pragma once

#include <filesystem>
#include <string>

#include "cli/plots.h"
#include "cli/run_results.h"

namespace dehvf::cli {

/// Pictures of the examples are read from below `run`; one that cannot be read is replaced by a word. Every
/// text of the results is escaped.
std::string report_page(const RunResults& results, const std::filesystem::path& run, const Plots& plots);

}  // namespace dehvf::cli
