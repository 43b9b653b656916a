// Where the files lie that the public scorers made.
#pragma once

#include <filesystem>
#include <string>

namespace dehvf {

inline std::filesystem::path scorer_fixture(const std::string& name) {
  return std::filesystem::path(DEHVF_SOURCE_DIR) / "tests" / "golden" / "scorers" / name;
}

}  // namespace dehvf
