#include "train/open_model.h"

#include <algorithm>

#include "core/io/file.h"
#include "models/load.h"
#include "train/named_tensors.h"

namespace dehvf {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kTowerPrefix = "tower_adapters.";

// A file has no config beside it: what a folder would say comes from the command line.
AdapterDescription description_of(const ModelFiles& files) {
  if (files.adapter.empty()) {
    require<ConfigError>(files.fusion.empty() && files.options.empty(),
                         "fusion and its options are those of an adapter, and no adapter is given");
    return {.fusion = "none"};
  }
  if (fs::is_directory(files.adapter)) {
    require<ConfigError>(files.fusion.empty() && files.options.empty(), files.adapter.string(),
                         ": fusion and its options stand in its adapter_config.json; leave them out");
    return read_adapter_config(files.adapter);
  }
  require<ConfigError>(!files.fusion.empty(), files.adapter.string(),
                       ": a file does not say which operator it belongs to; give its fusion and options");
  AdapterDescription d{.fusion = files.fusion};
  for (const auto& [key, value] : files.options) {
    const bool of_tower = key.starts_with(kTowerPrefix);
    d.tower_adapters |= of_tower;
    (of_tower ? d.tower_adapter_options
              : d.fusion_options)[of_tower ? key.substr(kTowerPrefix.size()) : key] = value;
  }
  return d;
}

TowerAdapterConfig tower_adapters_of(const AdapterDescription& description) {
  FusionConfig options(description.tower_adapter_options);
  TowerAdapterConfig config;
  config.rank = options.integer("rank", config.rank, 1, 1 << 14);
  config.scale = options.number("scale", config.scale);
  config.dropout = options.number("dropout", config.dropout);
  options.finish("tower_adapters");
  return config;
}

void load_file(const fs::path& file, FusedModel& model) {
  NamedTensors tensors = load_all(SafetensorsFile(file));
  for (auto& [name, tensor] : tensors)
    if (is_float(tensor.dtype())) tensor = cast(tensor, DType::f64);
  NamedShapes wanted;
  for (const auto& [path, parameter] : parameters_of(model)) wanted.emplace_back(path, parameter->shape());
  std::ranges::sort(wanted, {}, &NamedShapes::value_type::first);
  require_same_tensors(file.string(), tensors, wanted, DType::f64);
  load_parameters(
      model,
      [&](const std::string& path, const Shape&) {
        return std::ranges::lower_bound(tensors, path, {}, &NamedTensors::value_type::first)->second;
      },
      /*trainable=*/false);
}

void load_adapter_of(const ModelFiles& files, FusedModel& model, DType dtype) {
  if (fs::is_directory(files.adapter))
    load_adapter(files.adapter, model, /*trainable=*/false);
  else
    load_file(files.adapter, model);
  const bool trainable = dtype == DType::f32 || dtype == DType::f64;
  for (const auto& [path, parameter] : parameters_of(model)) {
    const Tensor value = cast(parameter->value(), dtype);
    trainable ? parameter->set_trainable(value, path) : parameter->set_frozen(value, path);
  }
}

std::optional<ImageRecipe> recipe_of(const ModelFiles& files, const AdapterDescription& adapter,
                                     int64_t size) {
  std::optional<ImageRecipe> recipe;
  const fs::path config = files.tower / "preprocessor_config.json";
  if (fs::exists(config)) recipe = recipe_from_json(read_json(config), config.string());
  if (!adapter.image_recipe.empty() && (!recipe || recipe->name != adapter.image_recipe))
    recipe = image_recipe(adapter.image_recipe, int(size));
  return recipe;
}

void compare_weights(const WeightFolder& weights, const std::string& trained_on,
                     std::vector<std::string>& notes) {
  if (!trained_on.empty() && weights.fingerprint() != trained_on)
    notes.push_back(concat(weights.path().string(),
                           ": other weights than those that the adapter was trained on (fingerprint ",
                           weights.fingerprint(), ", wanted ", printable(trained_on), ")"));
}

}  // namespace

OpenedModel open_model(const ModelFiles& files, DType dtype) {
  require<ConfigError>(
      dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16 || dtype == DType::f16,
      "dtype: wanted f32, f64, bf16 or f16, found ", dtype);
  require<IoError>(files.adapter.empty() || fs::exists(files.adapter), files.adapter.string(),
                   ": no such adapter; wanted an adapter folder or a safetensors file");
  const AdapterDescription description = description_of(files);
  require<ConfigError>(description.fusion == "none" || !files.tower.empty(), "fusion ",
                       printable(description.fusion), " looks at a tower, and none is given");
  OpenedModel opened;
  const WeightFolder llama(files.llama);
  const LlamaConfig llama_config = llama_config_of(llama, opened.notes);
  const ClipConfig tower_config = files.tower.empty() ? ClipConfig{} : read_clip_config(files.tower);
  opened.model =
      std::make_unique<FusedModel>(llama_config, tower_config,
                                   FusedModelOptions{.fusion = description.fusion,
                                                     .config = FusionConfig(description.fusion_options),
                                                     .tower_adapters = description.tower_adapters,
                                                     .adapters = tower_adapters_of(description)});
  FusedModel& model = *opened.model;
  if (!files.adapter.empty()) load_adapter_of(files, model, dtype);
  load_weights(model.llama(), llama, dtype, opened.notes);
  compare_weights(llama, description.base_fingerprint, opened.notes);
  if (files.tower.empty()) return opened;
  const WeightFolder tower(files.tower);
  load_weights(model.tower(), tower, dtype, opened.notes);
  compare_weights(tower, description.tower_fingerprint, opened.notes);
  opened.recipe = recipe_of(files, description, tower_config.image);
  require<ConfigError>(!opened.recipe || opened.recipe->size == tower_config.image, files.tower.string(),
                       ": pictures are prepared at ", opened.recipe ? opened.recipe->size : 0,
                       " pixels, and the tower takes ", tower_config.image);
  return opened;
}

}  // namespace dehvf
