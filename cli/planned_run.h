// The model that a run's configuration names, planned before anything is loaded.
#pragma once

#include "train/planned_model.h"
#include "train/run_config.h"

namespace dehvf::cli {

/// Of folders that are there (their config.json only), else of the published models of their names. Throws
/// ConfigError naming those.
PlannedModel planned_model(const RunConfig& config);

}  // namespace dehvf::cli
