// The options by which train and eval name their run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace dehvf::cli {

struct RunOptions {
  std::filesystem::path config;
  std::vector<std::string> overrides;  // key=value
  bool json = false;

  void add_to(CLI::App* command) {
    command->add_option("--config", config, "YAML file; see configs/")->check(CLI::ExistingFile);
    command->add_option("overrides", overrides, "key=value, over what the file says");
    command->add_flag("--json", json, "one JSON object on one line, no progress");
  }
};

}  // namespace dehvf::cli
