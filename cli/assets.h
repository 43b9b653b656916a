// Where the pictures and the toy weights are.
#pragma once

#include <filesystem>

namespace dehvf::cli {

std::filesystem::path default_assets();

}  // namespace dehvf::cli
