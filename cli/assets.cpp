#include "cli/assets.h"

namespace dehvf::cli {

std::filesystem::path default_assets() { return DEHVF_ASSETS; }

}  // namespace dehvf::cli
