// A comparison as one HTML page that needs nothing from outside.
#pragma once

#include <string>

#include "bench/compare.h"
#include "cli/plots.h"
#include "core/io/json.h"

namespace dehvf::cli {

std::string html_of(const TextTable& table);
std::string compare_page(const Json& result, const Plots& plots);

}  // namespace dehvf::cli
