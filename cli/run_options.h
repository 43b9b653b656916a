// The options by which train and eval name their run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/progress.h"
#include "core/backend.h"
#include "train/run_config.h"

namespace dehvf::cli {

struct RunOptions {
  std::filesystem::path config;
  std::vector<std::string> overrides;  // key=value
  std::string device;                  // stands for the key
  bool json = false, memory = false;

  void add_to(CLI::App* command) {
    command->add_option("--config", config, "YAML file; see configs/")->check(CLI::ExistingFile);
    command->add_option("overrides", overrides,
                        "key=value, over what the file says, e.g. train.rate=1e-3 or find_nan=true; a "
                        "run's config.yaml lists every key");
    command->add_option("--device", device, "auto, cpu, cuda:N or emulator; the key `device`");
    command->add_flag("--memory", memory, "ends with what the memory was for when most was held");
    command->add_flag("--json", json, "one JSON object on one line, no progress");
  }

  RunConfig read() const {
    std::vector<std::string> all = overrides;
    if (!device.empty()) all.push_back("device=" + device);
    return read_run_config(config, all);
  }

  void tell_memory(Device device_of_run, Progress& progress) const {
    if (memory)
      progress.note(
          concat("memory of ", device_of_run, ": ", describe(backend(device_of_run).memory().at_peak())));
  }
};

}  // namespace dehvf::cli
