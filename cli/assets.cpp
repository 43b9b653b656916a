#include "cli/assets.h"

namespace dehvf::cli {

// Every target that links the installed library compiles this file, so it may be there more than once.
[[gnu::weak]] std::filesystem::path default_assets() {
  std::error_code none;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", none);
  const auto installed = program.parent_path().parent_path() / "share" / "dehvf";
  return std::filesystem::is_directory(installed, none) ? installed : DEHVF_ASSETS;
}

}  // namespace dehvf::cli
