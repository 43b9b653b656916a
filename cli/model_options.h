// The options by which every command names its models.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "train/open_model.h"

namespace dehvf::cli {

struct ModelOptions {
  ModelFiles files;
  std::vector<std::string> settings;  // key=value

  void add_to(CLI::App& command);
  /// Notes go to standard error.
  OpenedModel open(DType dtype) const;
};

void print_notes(const std::vector<std::string>& notes);  // on standard error

}  // namespace dehvf::cli
