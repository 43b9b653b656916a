// Machines that a time is forecast for.
#pragma once

#include <string>

#include "train/planned_model.h"

namespace dehvf::cli {

/// "h200", whose rates were measured once, or a JSON file of `dehvf bench kernels --out`. Throws ConfigError,
/// and IoError for a file that is none.
MachineRates machine_named(const std::string& name);
inline constexpr char kMachineHelp[] =
    "that times are forecast for: h200, or a JSON file of `dehvf bench kernels --out`";

}  // namespace dehvf::cli
