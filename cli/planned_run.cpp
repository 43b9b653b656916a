#include "cli/planned_run.h"

#include "models/published_shapes.h"
#include "train/open_model.h"

namespace dehvf::cli {

PlannedModel planned_model(const RunConfig& config) {
  const FusedModelOptions options = config.model_options();
  if (std::filesystem::exists(config.model)) {
    const auto model = FrozenFolders(config.model, config.tower).make(options);
    return {model->llama().config(), model->tower().config(), options, config.dtype};
  }
  const std::string tower = config.tower.filename().string();
  return {published_llama(config.model.filename().string()),
          published_tower(tower.empty() ? "clip-vit-large-patch14" : tower), options, config.dtype};
}

}  // namespace dehvf::cli
