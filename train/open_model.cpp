#include "train/open_model.h"

#include <algorithm>

#include "core/io/file.h"
#include "core/io/json.h"
#include "models/load.h"
#include "models/trained_lora.h"
#include "train/named_tensors.h"

namespace dehvf {
namespace {

constexpr const char* kPreprocessor = "preprocessor_config.json";

namespace fs = std::filesystem;
constexpr std::string_view kTowerPrefix = "tower_adapters.";

bool of_tuning(std::string_view key) { return key == "tune" || key.starts_with("lora."); }

bool is_peft_lora(const fs::path& folder) {
  const fs::path config = folder / "adapter_config.json";
  if (!fs::exists(config)) return false;
  const Json json = read_json(config, 1 << 24);
  return json.is_object() && json.contains("peft_type") && json["peft_type"] == "LORA";
}

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
    return describe_adapter(files.adapter);
  }
  require<ConfigError>(!files.fusion.empty(), files.adapter.string(),
                       ": a file does not say which operator it belongs to; give its fusion and options");
  AdapterDescription d{.fusion = files.fusion};
  for (const auto& [key, value] : files.options) {
    if (of_tuning(key)) {
      d.tuning[key] = value;
      continue;
    }
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
  const std::string forms[] = {std::string(name_of(TowerAdapterForm::beside_mlp)),
                               std::string(name_of(TowerAdapterForm::before_attention))};
  config.form = tower_adapter_form(options.choice("form", forms[0], forms));
  config.temperature = options.number("temperature", config.temperature);
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
  if (std::vector<std::string> notes; fs::is_directory(files.adapter) && is_peft_lora(files.adapter))
    load_lora(model.llama(), read_lora(files.adapter, notes), /*trainable=*/false);
  else if (fs::is_directory(files.adapter))
    load_adapter(files.adapter, model, /*trainable=*/false);
  else
    load_file(files.adapter, model);
  const bool trainable = dtype == DType::f32 || dtype == DType::f64;
  for (const auto& [path, parameter] : parameters_of(model)) {
    const Tensor value = cast(parameter->value(), dtype);
    trainable ? parameter->set_trainable(value, path) : parameter->set_frozen(value, path);
  }
}

// The name that stands for `recipe` on disk: of the recipe that does the same, empty for a tower's own.
std::string known_name(const ImageRecipe& recipe) {
  for (const char* name : {"clip_crop", "llava_pad", "memvp", "plain"})
    if (recipe_mismatch(recipe, image_recipe(name, recipe.size)).empty()) return name;
  return {};
}

void compare_weights(const fs::path& folder, const std::string& found, const std::string& trained_on,
                     std::vector<std::string>& notes) {
  if (!trained_on.empty() && found != trained_on)
    notes.push_back(concat(folder.string(),
                           ": other weights than those that the adapter was trained on (fingerprint ", found,
                           ", wanted ", printable(trained_on), ")"));
}

}  // namespace

AdapterDescription describe_adapter(const fs::path& folder) {
  if (!is_peft_lora(folder)) return read_adapter_config(folder);
  std::vector<std::string> notes;
  const LoraAdapter lora = read_lora(folder, notes);
  return {.fusion = "none", .tuning = tuning_options(tuning_for(lora)), .base_model = lora.base_model};
}

FrozenFolders::FrozenFolders(const fs::path& llama, const fs::path& tower)
    : llama_(llama), llama_config_(llama_config_of(llama_, notes_)) {
  if (tower.empty()) return;
  tower_.emplace(tower);
  tower_config_ = read_vision_config(tower);
  // DINOv2 is trained on larger pictures than it is meant to be given.
  const fs::path path = tower / kPreprocessor;
  if (tower_config_.family != VisionFamily::dinov2 || !fs::exists(path)) return;
  tower_config_.stored_image = tower_config_.image;
  tower_config_.image = recipe_from_json(read_json(path), path.string()).size;
}

std::unique_ptr<FusedModel> FrozenFolders::make(FusedModelOptions options) const {
  return std::make_unique<FusedModel>(llama_config_, tower_config_, std::move(options));
}

void FrozenFolders::load(FusedModel& model, DType dtype) {
  load_weights(model.llama(), llama_, dtype, notes_);
  if (tower_) load_weights(model.tower(), *tower_, dtype, notes_);
  const auto fitted = model.fusion().notes();
  notes_.insert(notes_.end(), fitted.begin(), fitted.end());
}

std::optional<ImageRecipe> FrozenFolders::recipe(const std::string& name, bool mismatch_is_meant) {
  if (!tower_) return {};
  const fs::path path = tower_->path() / kPreprocessor;
  std::optional<ImageRecipe> own;
  if (fs::exists(path)) own = recipe_from_json(read_json(path), path.string());
  std::optional<ImageRecipe> chosen = own;
  if (!name.empty())
    chosen = image_recipe(name, int(tower_config_.image));
  else if (own)
    chosen->name = known_name(*own);
  else
    return {};
  require<ConfigError>(chosen->size == tower_config_.image, tower_->path().string(),
                       ": pictures are prepared at ", chosen->size, " pixels, and the tower takes ",
                       tower_config_.image);
  const std::string mismatch = own ? recipe_mismatch(*chosen, *own) : "";
  require<ConfigError>(mismatch.empty() || mismatch_is_meant ||
                           (chosen->mean == own->mean && chosen->deviation == own->deviation),
                       path.string(), ": ", mismatch,
                       "; leave image_recipe out, or say image_mismatch=true if it is meant");
  if (!mismatch.empty()) notes_.push_back(mismatch);
  return chosen;
}

OpenedModel open_model(const ModelFiles& files, DType dtype) {
  require<ConfigError>(
      dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16 || dtype == DType::f16,
      "dtype: wanted f32, f64, bf16 or f16, found ", dtype);
  require<IoError>(files.adapter.empty() || fs::exists(files.adapter), files.adapter.string(),
                   ": no such adapter; wanted an adapter folder or a safetensors file");
  const AdapterDescription description = description_of(files);
  require<ConfigError>(description.fusion == "none" || !files.tower.empty(), "fusion ",
                       printable(description.fusion), " looks at a tower, and none is given");
  FrozenFolders folders(files.llama, files.tower);
  OpenedModel opened;
  opened.model = folders.make({.fusion = description.fusion,
                               .config = FusionConfig(description.fusion_options),
                               .tower_adapters = description.tower_adapters,
                               .adapters = tower_adapters_of(description),
                               .tuning = tuning_of(description.tuning)});
  opened.recipe = folders.recipe(description.image_recipe, /*mismatch_is_meant=*/true);
  folders.load(*opened.model, dtype);
  if (!files.adapter.empty()) load_adapter_of(files, *opened.model, dtype);
  compare_weights(files.llama, folders.llama_fingerprint(), description.base_fingerprint, folders.notes());
  if (!files.tower.empty())
    compare_weights(files.tower, folders.tower_fingerprint(), description.tower_fingerprint, folders.notes());
  opened.notes = std::move(folders.notes());
  return opened;
}

}  // namespace dehvf
