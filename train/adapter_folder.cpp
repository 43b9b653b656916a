#include "train/adapter_folder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/io/file.h"
#include "core/io/json.h"
#include "core/ops/elementwise.h"
#include "layers/fusion/operator.h"
#include "models/trained_lora.h"
#include "train/named_tensors.h"

namespace dehvf {
namespace {

namespace fs = std::filesystem;

constexpr const char *kType = "DEHVF", *kConfig = "adapter_config.json",
                     *kWeights = "adapter_model.safetensors";
constexpr int64_t kVersion = 1;

NamedTensors tensors_of(Module& adapter) {
  NamedTensors tensors;
  for (const auto& [path, parameter] : parameters_of(adapter)) tensors.emplace_back(path, parameter->value());
  std::ranges::sort(tensors, {}, &NamedTensors::value_type::first);
  return tensors;
}

Json json_of(const AdapterDescription& d, const std::string& sum) {
  return {{"peft_type", kType},
          {"format_version", kVersion},
          {"fusion", d.fusion},
          {"fusion_options", d.fusion_options},
          {"tower_adapters", d.tower_adapters},
          {"tower_adapter_options", d.tower_adapter_options},
          {"tuning", d.tuning},
          {"base_model_name_or_path", d.base_model},
          {"base_fingerprint", d.base_fingerprint},
          {"tower_name_or_path", d.tower_model},
          {"tower_fingerprint", d.tower_fingerprint},
          {"tokenizer_name_or_path", d.tokenizer},
          {"tokenizer_fingerprint", d.tokenizer_fingerprint},
          {"image_recipe", d.image_recipe},
          {"prompt_format", d.prompt_format},
          {"training_step", d.training_step},
          {"weights_xxh3", sum}};
}

Json read_config(const fs::path& folder) {
  const fs::path path = folder / kConfig;
  Json json = read_json(path, 1 << 24);
  const auto type = json_get<std::string>(json, "peft_type", path.string());
  require<ConfigError>(type == kType, path.string(), ": wanted peft_type ", kType, ", found '",
                       printable(type), "'");
  const auto version = json_get<int64_t>(json, "format_version", path.string());
  require<ConfigError>(version == kVersion, path.string(), ": wanted format_version ", kVersion, ", found ",
                       version);
  return json;
}

AdapterDescription::Options options_in(const Json& json, const char* key, const std::string& what) {
  const auto found = json.find(key);
  require<IoError>(found != json.end() && found->is_object(), what, ": key '", key, "': wanted an object");
  AdapterDescription::Options options;
  for (const auto& [name, value] : found->items())
    options[name] = json_get<std::string>(*found, name.c_str(), what);
  return options;
}

// YAML's double-quoted scalars are JSON strings.
std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string yaml_list(const char* key, const std::vector<std::string>& items) {
  std::string text = items.empty() ? "" : concat(key, ":\n");
  for (const std::string& item : items) text += "- " + quoted(item) + '\n';
  return text;
}

std::string card_text(const AdapterDescription& d, const AdapterCard& card, int64_t parameters) {
  std::string text = "---\n";
  if (!d.base_model.empty()) text += "base_model: " + quoted(d.base_model) + '\n';
  if (!card.license.empty()) text += "license: " + quoted(card.license) + '\n';
  text += "library_name: dehvf\n";
  text += yaml_list("datasets", card.datasets) + yaml_list("metrics", card.metrics);
  auto tags = card.tags;
  tags.insert(tags.begin(), {"dehvf", "adapter", "vision-language"});
  text += yaml_list("tags", tags) + "---\n\n";
  text += concat("# ", d.fusion, " adapter\n\nAn adapter of dehvf: operator `", d.fusion, "`, ", parameters,
                 " parameters, training step ", d.training_step, ".\n",
                 "It has the shape of a PEFT folder, but PEFT cannot load it.\n\n| | |\n|---|---|\n");
  const auto row = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += concat("| ", name, " | `", printable(value), "` |\n");
  };
  row("base model", d.base_model), row("base fingerprint", d.base_fingerprint);
  row("tower", d.tower_model), row("tower fingerprint", d.tower_fingerprint);
  row("tokenizer", d.tokenizer), row("tokenizer fingerprint", d.tokenizer_fingerprint);
  row("image recipe", d.image_recipe), row("prompt format", d.prompt_format);
  for (const std::string& dataset : card.datasets) row("trained on", dataset);
  row("tower adapters", d.tower_adapters ? "on" : "off");
  for (const auto& [prefix, options] :
       {std::pair("", d.fusion_options), {"tower_adapters.", d.tower_adapter_options}, {"", d.tuning}})
    for (const auto& [key, value] : options) row((prefix + key).c_str(), value);
  for (const std::string& metric : card.metrics) row("metric", metric);
  text +=
      concat("\nLicense: ", card.license.empty() ? "not stated; fill it in before publishing" : card.license,
             ". The weights of the base model and of the tower have licenses of their own.\n");
  text +=
      "\n## Use\n\nWith the two models above in folders LLAMA and TOWER, and this one as ADAPTER:\n\n"
      "    dehvf generate --model LLAMA --tower TOWER --adapter ADAPTER --image cat.png --prompt \"What is "
      "it?\"\n"
      "    dehvf eval --config RUN.yaml model=LLAMA tower=TOWER data=SCIENCEQA --adapter ADAPTER\n";
  return card.text.empty() ? text : text + '\n' + card.text + '\n';
}

bool all_finite(const Tensor& tensor) {
  const Tensor values = cast(tensor, DType::f32);
  return std::ranges::all_of(values.span<float>(), [](float x) { return std::isfinite(x); });
}

}  // namespace

NamedTensors read_adapter_tensors(const fs::path& folder) {
  const SafetensorsFile file(folder / kWeights);
  NamedTensors tensors = load_all(file);
  const std::string wanted =
      json_get<std::string>(read_config(folder), "weights_xxh3", (folder / kConfig).string());
  require<IoError>(checksum("", tensors) == wanted, file.path().string(),
                   ": is damaged or of another adapter: its checksum does not match the one in ", kConfig);
  return tensors;
}

void write_adapter_folder(const fs::path& folder, const NamedTensors& tensors,
                          const AdapterDescription& description, const AdapterCard& card) {
  std::error_code error;
  fs::create_directories(folder, error);
  require<IoError>(!error, folder.string(), ": cannot create the folder: ", error.message());
  int64_t parameters = 0;
  for (const auto& [name, tensor] : tensors) parameters += tensor.count();
  write_safetensors(folder / kWeights, tensors, {{"format", "dehvf"}});
  write_file(folder / "README.md", card_text(description, card, parameters));
  write_json(folder / kConfig, json_of(description, checksum("", tensors)));
}

void write_adapter_folder(const fs::path& folder, Module& adapter, const AdapterDescription& description,
                          const AdapterCard& card) {
  write_adapter_folder(folder, tensors_of(adapter), description, card);
}

void publish_adapter_folder(const fs::path& from, const fs::path& to, DType dtype, const AdapterCard& card) {
  const AdapterDescription description = read_adapter_config(from);
  NamedTensors tensors = read_adapter_tensors(from);
  for (auto& [name, tensor] : tensors) {
    const bool was_finite = all_finite(tensor);
    tensor = cast(tensor, dtype);
    require<IoError>(all_finite(tensor) || !was_finite, from.string(), ": ", printable(name),
                     " has numbers too large for ", dtype, "; try bf16 or f32");
  }
  write_adapter_folder(to, tensors, description, card);
}

void write_peft_folder(const fs::path& from, const fs::path& to, std::vector<std::string>& notes) {
  const AdapterDescription description = read_adapter_config(from);
  const NamedTensors tensors = read_adapter_tensors(from);
  LoraAdapter lora = lora_among(tensors, "llama.", tuning_of(description.tuning).lora);
  require<ConfigError>(!lora.modules.empty(), from.string(),
                       ": has no LoRA, and PEFT can load nothing else; train with lora.rank above 0");
  lora.base_model = description.base_model;
  if (const size_t others = tensors.size() - 2 * lora.modules.size(); others > 0)
    notes.push_back(concat(from.string(), ": ", others, " of ", tensors.size(),
                           " tensors are no LoRA (operator ", description.fusion,
                           ") and are left out: the folder alone is another model"));
  write_lora(to, lora);
}

AdapterDescription::Options tuning_options(const LlamaTuning& tuning) {
  if (!tuning.any()) return {};
  AdapterDescription::Options options{{"tune", tuning.tune.text()}};
  if (const LoraConfig& lora = tuning.lora; lora.rank > 0)
    options.merge(AdapterDescription::Options{{"lora.rank", concat(lora.rank)},
                                              {"lora.alpha", Json(lora.alpha).dump()},
                                              {"lora.rslora", lora.rslora ? "true" : "false"},
                                              {"lora.dropout", Json(lora.dropout).dump()},
                                              {"lora.targets", lora.targets.text()}});
  return options;
}

LlamaTuning tuning_of(const AdapterDescription::Options& options) {
  auto numbers = options;
  LlamaTuning tuning;
  if (const auto found = numbers.extract("tune")) tuning.tune = found.mapped().c_str();
  if (const auto found = numbers.extract("lora.targets")) tuning.lora.targets = found.mapped().c_str();
  FusionConfig config(std::move(numbers));
  tuning.lora.rank = config.integer("lora.rank", tuning.lora.rank, 0, 1 << 14);
  tuning.lora.alpha = config.number("lora.alpha", tuning.lora.alpha);
  tuning.lora.rslora = config.flag("lora.rslora", tuning.lora.rslora);
  tuning.lora.dropout = config.number("lora.dropout", tuning.lora.dropout);
  config.finish("tuning");
  tuning.check();
  return tuning;
}

AdapterDescription read_adapter_config(const fs::path& folder) {
  const std::string what = (folder / kConfig).string();
  const Json json = read_config(folder);
  const auto text = [&](const char* key) { return json_get<std::string>(json, key, what); };
  AdapterDescription d;
  d.fusion = text("fusion");
  d.fusion_options = options_in(json, "fusion_options", what);
  d.tower_adapters = json_get<bool>(json, "tower_adapters", what);
  d.tower_adapter_options = options_in(json, "tower_adapter_options", what);
  if (json.contains("tuning")) d.tuning = options_in(json, "tuning", what);
  d.base_model = text("base_model_name_or_path"), d.base_fingerprint = text("base_fingerprint");
  d.tower_model = text("tower_name_or_path"), d.tower_fingerprint = text("tower_fingerprint");
  d.tokenizer = text("tokenizer_name_or_path"), d.tokenizer_fingerprint = text("tokenizer_fingerprint");
  d.image_recipe = text("image_recipe"), d.prompt_format = text("prompt_format");
  d.training_step = json_get<int64_t>(json, "training_step", what);
  return d;
}

void load_adapter(const fs::path& folder, Module& adapter, bool trainable) {
  NamedTensors tensors = read_adapter_tensors(folder);
  for (auto& [name, tensor] : tensors)  // published ones may be stored in half the bytes
    if (tensor.dtype() == DType::bf16 || tensor.dtype() == DType::f16) tensor = cast(tensor, DType::f32);
  NamedShapes wanted;
  for (const auto& [path, parameter] : parameters_of(adapter)) wanted.emplace_back(path, parameter->shape());
  std::ranges::sort(wanted, {}, &NamedShapes::value_type::first);
  require_same_tensors((folder / kWeights).string(), tensors, wanted, DType::f32);
  std::map<std::string, DType> replaced;
  for (const auto& [path, parameter] : parameters_of(adapter))
    if (!trainable && parameter->defined() && !parameter->trainable())
      replaced[path] = parameter->variable().dtype();
  load_parameters(
      adapter,
      [&](const std::string& path, const Shape&) {
        const Tensor& tensor =
            std::ranges::lower_bound(tensors, path, {}, &NamedTensors::value_type::first)->second;
        const auto before = replaced.find(path);
        return before == replaced.end() ? tensor : cast(tensor, before->second);
      },
      trainable);
}

void verify_adapter_folder(const fs::path& folder, Module& adapter, const AdapterDescription& description) {
  const std::string what = folder.string();
  require<Error>(read_adapter_config(folder) == description, what,
                 ": its description does not read back as it was written");
  const NamedTensors found = read_adapter_tensors(folder), wanted = tensors_of(adapter);
  require<Error>(found.size() == wanted.size(), what, ": has ", found.size(), " tensors, wanted ",
                 wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const Tensor a = found[i].second, b = wanted[i].second.to(kCpu);
    require<Error>(found[i].first == wanted[i].first && a.shape() == b.shape() && a.dtype() == b.dtype() &&
                       std::memcmp(a.raw(), b.raw(), a.bytes()) == 0,
                   what, ": tensor ", wanted[i].first, " does not read back as it was written");
  }
}

}  // namespace dehvf
