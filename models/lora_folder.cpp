#include "models/lora_folder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "models/safetensors.h"
#include "models/weight_folder.h"

namespace dehvf {
namespace {

constexpr std::string_view kPrefix = "base_model.model.", kA = ".lora_A.weight", kB = ".lora_B.weight";

// Keys that change what an adapter computes or stores; each must be absent, null, false or empty.
constexpr std::array kRefused{"use_dora",
                              "use_qalora",
                              "use_bdlora",
                              "fan_in_fan_out",
                              "lora_bias",
                              "modules_to_save",
                              "layer_replication",
                              "target_parameters",
                              "kasa_config",
                              "velora_config",
                              "monteclora_config",
                              "arrow_config",
                              "trainable_token_indices",
                              "alora_invocation_tokens"};
// Keys that say how an adapter was made, or that its tensors' names say as well.
constexpr std::array kPassedOver{"auto_mapping",
                                 "base_model_name_or_path",
                                 "bias",
                                 "corda_config",
                                 "ensure_weight_tying",
                                 "eva_config",
                                 "exclude_modules",
                                 "inference_mode",
                                 "init_lora_weights",
                                 "layers_pattern",
                                 "layers_to_transform",
                                 "loftq_config",
                                 "lora_ga_config",
                                 "megatron_config",
                                 "megatron_core",
                                 "peft_type",
                                 "peft_version",
                                 "qalora_group_size",
                                 "revision",
                                 "runtime_config",
                                 "task_type",
                                 "target_modules",
                                 "r",
                                 "lora_alpha",
                                 "lora_dropout",
                                 "use_rslora",
                                 "rank_pattern",
                                 "alpha_pattern"};

bool is_off(const Json& value) {
  const bool container = value.is_object() || value.is_array();
  return value.is_null() || value == false || value == "" || (container && value.empty());
}

void refuse_other_kinds(const Json& json, const std::string& what, std::vector<std::string>& notes) {
  const auto kind = json_get<std::string>(json, "peft_type", what);
  require<ConfigError>(kind == "LORA", what, ": peft_type '", printable(kind), "': only LORA is supported");
  const auto bias = json_get<std::string>(json, "bias", what, "none");
  require<ConfigError>(bias == "none", what, ": bias '", printable(bias), "': only none is supported");
  for (const auto& [key, value] : json.items()) {
    if (std::find(kPassedOver.begin(), kPassedOver.end(), key) != kPassedOver.end() || is_off(value))
      continue;
    const std::string text = printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
    const bool refused = std::find(kRefused.begin(), kRefused.end(), key) != kRefused.end();
    require<ConfigError>(!refused, what, ": ", key, " ", text, " is not supported, only plain LoRA");
    notes.push_back(concat(what, ": unknown key '", printable(key), "' ", text, " is passed over"));
  }
}

bool ends_module(std::string_view path, std::string_view name) {
  return path == name || (path.ends_with(name) && path[path.size() - name.size() - 1] == '.');
}

// The value of the first pattern that names the end of `path`, else `fallback`.
double by_pattern(const Json& json, const char* key, const std::string& path, const std::string& what,
                  double fallback) {
  const auto patterns = json.find(key);
  if (patterns == json.end() || is_off(*patterns)) return fallback;
  require<IoError>(patterns->is_object(), what, ": ", key, ": wanted an object");
  for (const auto& [name, value] : patterns->items()) {
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
             c == '.';
    });
    require<ConfigError>(plain && !name.empty(), what, ": ", key, ": '", printable(name),
                         "' is a regular expression; only plain module names are supported");
    require<IoError>(value.is_number() && value > 0, what, ": ", key, ": wanted numbers above 0");
    if (ends_module(path, name)) return value.get<double>();
  }
  return fallback;
}

void check_targets(const Json& json, const LoraAdapter& adapter, const std::string& what,
                   std::vector<std::string>& notes) {
  const auto targets = json.find("target_modules");
  require<IoError>(targets != json.end() && (targets->is_string() || targets->is_array()), what,
                   ": key 'target_modules': wanted a list of names or one expression");
  if (targets->is_string()) return;
  for (const Json& target : *targets) {
    require<IoError>(target.is_string(), what, ": key 'target_modules': wanted names");
    const bool used = std::any_of(adapter.modules.begin(), adapter.modules.end(), [&](const auto& module) {
      return ends_module(module.first, target.get_ref<const std::string&>());
    });
    if (!used) notes.push_back(concat(what, ": target module ", printable(target.dump()), " has no tensors"));
  }
}

// Pairs of tensors by module path; one error for all that are unpaired, unknown or mis-shaped.
std::map<std::string, LoraModule> load_modules(const WeightFolder& weights) {
  std::map<std::string, LoraModule> modules;
  std::string odd;
  for (const auto& name : weights.names()) {
    const bool is_a = name.ends_with(kA), is_b = name.ends_with(kB);
    const Shape shape = weights.shape(name);
    if (!name.starts_with(kPrefix) || (!is_a && !is_b) || shape.rank() != 2 ||
        !is_float(weights.dtype(name))) {
      odd += concat(odd.empty() ? "" : ", ", printable(name), " ", shape);
      continue;
    }
    auto& module = modules[name.substr(kPrefix.size(), name.size() - kPrefix.size() - kA.size())];
    (is_a ? module.a : module.b) = weights.load(name);
  }
  for (const auto& [path, module] : modules)
    if (!module.a || !module.b || module.a.size(0) != module.b.size(1) ||
        module.a.dtype() != module.b.dtype())
      odd += concat(odd.empty() ? "" : ", ", printable(path), " (lora_A and lora_B do not fit)");
  require<IoError>(odd.empty(), weights.path().string(),
                   ": wanted pairs lora_A [rank, in] and lora_B [out, rank], found ", odd);
  require<IoError>(!modules.empty(), weights.path().string(), ": holds no LoRA tensors");
  return modules;
}

double scale_of(double alpha, int64_t rank, bool stabilised) {
  return alpha / (stabilised ? std::sqrt(double(rank)) : double(rank));
}

}  // namespace

LoraAdapter read_lora(const std::filesystem::path& folder, std::vector<std::string>& notes) {
  const auto path = folder / "adapter_config.json";
  const std::string what = path.string();
  const Json json = read_json(path, 16 << 20);
  refuse_other_kinds(json, what, notes);
  LoraAdapter adapter;
  adapter.rank = json_get<int64_t>(json, "r", what, adapter.rank);
  adapter.alpha = json_get<double>(json, "lora_alpha", what, adapter.alpha);
  adapter.dropout = json_get<double>(json, "lora_dropout", what, adapter.dropout);
  adapter.rank_stabilised = json_get<bool>(json, "use_rslora", what, false);
  adapter.base_model = json_get<std::string>(json, "base_model_name_or_path", what, "");
  const bool sane =
      adapter.rank > 0 && std::isfinite(adapter.alpha) && adapter.dropout >= 0 && adapter.dropout < 1;
  require<IoError>(sane, what, ": wanted r above 0, a finite lora_alpha and lora_dropout in [0, 1)");
  const bool tensors = std::filesystem::exists(folder / "adapter_model.safetensors");
  adapter.modules =
      load_modules(WeightFolder(folder / (tensors ? "adapter_model.safetensors" : "adapter_model.bin")));
  for (auto& [name, module] : adapter.modules) {
    const double rank = by_pattern(json, "rank_pattern", name, what, double(adapter.rank));
    const double alpha = by_pattern(json, "alpha_pattern", name, what, adapter.alpha);
    const int64_t found = module.a.size(0);
    require<IoError>(double(found) == rank, what, ": says rank ", rank, " for ", printable(name),
                     ", its tensors have ", found);
    module.scale = scale_of(alpha, found, adapter.rank_stabilised);
  }
  check_targets(json, adapter, what, notes);
  return adapter;
}

void write_lora(const std::filesystem::path& folder, const LoraAdapter& adapter) {
  require<ConfigError>(!adapter.modules.empty(), folder.string(),
                       ": an adapter without modules cannot be written");
  NamedTensors tensors;
  std::set<std::string> targets;
  Json ranks = Json::object(), alphas = Json::object();
  for (const auto& [path, module] : adapter.modules) {
    const bool fits = module.a && module.b && module.a.shape().rank() == 2 && module.b.shape().rank() == 2 &&
                      module.a.size(0) == module.b.size(1) && module.a.size(0) > 0;
    require<ShapeError>(fits, "LoRA of ", path, ": wanted a [rank, in] and b [out, rank]");
    const int64_t rank = module.a.size(0);
    if (rank != adapter.rank) ranks[path] = rank;
    if (module.scale != scale_of(adapter.alpha, rank, adapter.rank_stabilised))
      alphas[path] = module.scale * (adapter.rank_stabilised ? std::sqrt(double(rank)) : double(rank));
    tensors.emplace_back(concat(kPrefix, path, kA), module.a);
    tensors.emplace_back(concat(kPrefix, path, kB), module.b);
    targets.insert(path.substr(path.rfind('.') + 1));
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require<IoError>(!error, folder.string(), ": cannot create this folder: ", error.message());
  write_safetensors(folder / "adapter_model.safetensors", tensors, {{"format", "pt"}});
  write_json(
      folder / "adapter_config.json",
      {{"peft_type", "LORA"},
       {"task_type", "CAUSAL_LM"},
       {"base_model_name_or_path", adapter.base_model.empty() ? Json(nullptr) : Json(adapter.base_model)},
       {"r", adapter.rank},
       {"lora_alpha", adapter.alpha},
       {"lora_dropout", adapter.dropout},
       {"target_modules", targets},
       {"rank_pattern", ranks},
       {"alpha_pattern", alphas},
       {"use_rslora", adapter.rank_stabilised},
       {"use_dora", false},
       {"bias", "none"},
       {"fan_in_fan_out", false},
       {"modules_to_save", nullptr},
       {"inference_mode", true}});
}

}  // namespace dehvf
