// A reproduction as Markdown, JSON and one HTML page that needs nothing from outside.
#pragma once

#include <string>

#include "cli/plots.h"
#include "cli/reproduction.h"

namespace dehvf::cli {

TextTable figures_table(const Reproduction& reproduction);  // without rows where there are no figures
std::string reproduction_markdown(const Reproduction& reproduction);
/// Every text is escaped.
std::string reproduction_page(const Reproduction& reproduction, const Plots& plots);
Json reproduction_json(const Reproduction& reproduction);

}  // namespace dehvf::cli
