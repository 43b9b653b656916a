#include "train/run_config.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <yaml-cpp/yaml.h>

#include "core/io/file.h"
#include "core/io/json.h"

namespace dehvf {
namespace {

using Values = std::map<std::string, std::string>;
constexpr const char* kBase = "base";
const std::string kLeftOut(1,
                           '\0');  // the value of a key that is null: its base's value does not hold either

void flatten(const YAML::Node& node, const std::string& prefix, const std::string& path, Values& values) {
  if (node.IsMap()) {
    for (const auto& entry : node) {
      const auto key = prefix + (prefix.empty() ? "" : ".") + entry.first.as<std::string>();
      require<ConfigError>(!values.contains(key), path, ": key '", printable(key), "' stands twice");
      flatten(entry.second, key, path, values);
    }
    return;
  }
  require<ConfigError>(node.IsScalar() || node.IsNull(), path, ": key '", printable(prefix),
                       "': wanted one value or a group of keys");
  values[prefix] = node.IsNull() ? kLeftOut : node.as<std::string>();
}

// The values of a file over those of `base`, or if that is empty of the file that its key `base` names;
// `above` are the files on the way to it.
Values values_of(const std::filesystem::path& path, std::filesystem::path base,
                 std::vector<std::filesystem::path> above) {
  const auto own = path.lexically_normal();
  require<ConfigError>(std::ranges::find(above, own) == above.end(), path.string(),
                       ": it is the base of itself; take one 'base' away");
  above.push_back(own);
  Values values;
  try {
    const YAML::Node root = YAML::Load(read_file(path, 1 << 20));
    require<ConfigError>(root.IsMap(), path.string(), ": wanted a group of keys");
    flatten(root, "", path.string(), values);
  } catch (const YAML::Exception& error) {
    fail<IoError>(path.string(), ": invalid YAML: ", printable(error.what()));
  }
  if (const auto named = values.extract(kBase); named && base.empty())
    base = path.parent_path() / named.mapped();
  Values below;
  if (!base.empty()) below = values_of(base, {}, above);
  for (const auto& [key, value] : values)
    require<ConfigError>(value != kLeftOut || below.contains(key), path.string(), ": key '", printable(key),
                         "' is empty; wanted a value, or a base that has one to be taken away");
  values.merge(below);
  std::erase_if(values, [](const auto& value) { return value.second == kLeftOut; });
  return values;
}

Values read_values(const std::filesystem::path& path, std::span<const std::string> overrides,
                   const std::filesystem::path& base) {
  Values values;
  if (!path.empty()) values = values_of(path, base, {});
  for (const std::string& text : overrides) {
    const size_t equals = text.find('=');
    require<ConfigError>(equals != std::string::npos && equals > 0, "wanted key=value, found '",
                         printable(text), "'");
    values[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return values;
}

// Visits every key of a RunConfig: once to read them, once to write them.
template <class Visit>
void each_key(RunConfig& c, const Visit& visit) {
  visit("model", c.model), visit("tower", c.tower), visit("data", c.data), visit("out", c.out);
  visit("device", c.device), visit("dtype", c.dtype), visit("attention", c.attention),
      visit("find_nan", c.find_nan);
  visit("graphs", c.graphs), visit("image_recipe", c.image_recipe), visit("image_mismatch", c.image_mismatch);
  visit("fusion.name", c.fusion);
  visit("tower_adapters.enabled", c.tower_adapters), visit("tower_adapters.form", c.adapters.form);
  visit("tower_adapters.rank", c.adapters.rank), visit("tower_adapters.scale", c.adapters.scale);
  visit("tower_adapters.dropout", c.adapters.dropout),
      visit("tower_adapters.temperature", c.adapters.temperature);
  visit("lora.rank", c.tuning.lora.rank), visit("lora.alpha", c.tuning.lora.alpha),
      visit("lora.rslora", c.tuning.lora.rslora), visit("lora.dropout", c.tuning.lora.dropout),
      visit("lora.targets", c.tuning.lora.targets), visit("lora.from", c.lora_from);
  visit("tune", c.tuning.tune);
  visit("prompt.format", c.prompt.format), visit("prompt.captions", c.prompt.captions),
      visit("prompt.max_tokens", c.prompt.max_tokens);
  visit("train.split", c.train_split), visit("eval.split", c.eval_split), visit("train.limit", c.limit);
  visit("train.epochs", c.epochs), visit("train.warmup_epochs", c.warmup_epochs), visit("train.rate", c.rate);
  visit("train.weight_decay", c.weight_decay), visit("train.clip", c.clip);
  visit("train.batch", c.batches.batch), visit("train.micro_batch", c.batches.micro_batch),
      visit("train.seed", c.batches.seed);
  visit("train.segment", c.batches.mode);
  visit("train.checkpoint_every", c.checkpoint_every), visit("train.log_every", c.log_every);
}

template <class T>
void parse_number(const std::string& key, const std::string& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require<ConfigError>(error == std::errc{} && end == text.data() + text.size() && value >= T(0), key,
                       ": wanted a number of at least 0, found '", printable(text), "'");
}

struct Parse {
  static void set(const std::string&, const std::string& text, std::filesystem::path& value) { value = text; }
  static void set(const std::string&, const std::string& text, std::string& value) { value = text; }
  static void set(const std::string& key, const std::string& text, int64_t& value) {
    parse_number(key, text, value);
  }
  static void set(const std::string& key, const std::string& text, uint64_t& value) {
    parse_number(key, text, value);
  }
  static void set(const std::string& key, const std::string& text, double& value) {
    parse_number(key, text, value);
  }
  static void set(const std::string& key, const std::string& text, bool& value) {
    require<ConfigError>(text == "true" || text == "false", key, ": wanted true or false, found '",
                         printable(text), "'");
    value = text == "true";
  }
  static void set(const std::string&, const std::string& text, DType& value) { value = dtype_named(text); }
  static void set(const std::string&, const std::string& text, LoraTargets& value) { value = text.c_str(); }
  static void set(const std::string&, const std::string& text, TunedParts& value) { value = text.c_str(); }
  static void set(const std::string&, const std::string& text, TowerAdapterForm& value) {
    value = tower_adapter_form(text);
  }
  static void set(const std::string&, const std::string& text, PromptFormat& value) {
    value = prompt_format(text);
  }
  static void set(const std::string& key, const std::string& text, AttentionForm& value) {
    require<ConfigError>(text == "fused" || text == "eager", key, ": wanted fused or eager, found '",
                         printable(text), "'");
    value = text == "fused" ? AttentionForm::fused : AttentionForm::eager;
  }
  static void set(const std::string& key, const std::string& text, SegmentMode& value) {
    require<ConfigError>(text == "keep" || text == "recompute", key, ": wanted keep or recompute, found '",
                         printable(text), "'");
    value = text == "keep" ? SegmentMode::keep : SegmentMode::recompute;
  }
};

struct Print {
  static std::string text(const LoraTargets& value) { return Json(value.text()).dump(); }
  static std::string text(const TunedParts& value) { return Json(value.text()).dump(); }
  static std::string text(const std::filesystem::path& value) { return Json(value.string()).dump(); }
  static std::string text(const std::string& value) { return Json(value).dump(); }
  static std::string text(bool value) { return value ? "true" : "false"; }
  static std::string text(TowerAdapterForm value) { return std::string(name_of(value)); }
  static std::string text(DType value) { return std::string(name_of(value)); }
  static std::string text(PromptFormat value) { return std::string(prompt_format_name(value)); }
  static std::string text(SegmentMode value) { return value == SegmentMode::keep ? "keep" : "recompute"; }
  static std::string text(AttentionForm value) { return value == AttentionForm::fused ? "fused" : "eager"; }
  static std::string text(int64_t value) { return std::to_string(value); }
  static std::string text(uint64_t value) { return std::to_string(value); }
  static std::string text(double value) {
    char buffer[40];
    return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
  }
};

}  // namespace

RunConfig read_run_config(const std::filesystem::path& path, std::span<const std::string> overrides,
                          const std::filesystem::path& base) {
  RunConfig config;
  Values values = read_values(path, overrides, base);
  std::vector<std::string> known;
  each_key(config, [&](const char* key, auto& value) {
    known.emplace_back(key);
    const auto found = values.find(key);
    if (found == values.end()) return;
    Parse::set(key, found->second, value);
    values.erase(found);
  });
  for (const auto& [key, value] : values) {
    if (key.starts_with("fusion.")) {  // the operator knows its own keys
      config.fusion_options[key.substr(7)] = value;
      continue;
    }
    if (key.starts_with("kernels.")) {  // so does the registry of kernels
      config.kernels[key.substr(8)] = value;
      continue;
    }
    const std::string near = nearest(key, known);
    fail<ConfigError>("config: unknown key '", printable(key), "'",
                      near.empty() ? "" : "; did you mean '" + near + "'?");
  }
  require<ConfigError>(config.batches.batch > 0, "train.batch: wanted at least 1");
  if (config.batches.micro_batch > config.batches.batch) config.batches.micro_batch = config.batches.batch;
  return config;
}

std::string RunConfig::identity() const {
  RunConfig copy = *this;
  copy.device = "auto";
  copy.find_nan = false;
  copy.graphs = true;
  return copy.resolved();
}

FusedModelOptions RunConfig::model_options() const {
  return {.fusion = fusion,
          .config = FusionConfig(fusion_options),
          .tower_adapters = tower_adapters,
          .adapters = adapters,
          .tuning = tuning,
          .attention = attention};
}

std::string RunConfig::resolved() const {
  std::string text;
  RunConfig copy = *this;
  each_key(copy, [&](const char* key, auto& value) { text += concat(key, ": ", Print::text(value), "\n"); });
  for (const auto& [key, value] : fusion_options)
    text += concat("fusion.", key, ": ", Json(value).dump(), "\n");
  for (const auto& [slot, variant] : kernels)
    text += concat("kernels.", slot, ": ", Json(variant).dump(), "\n");
  return text;
}

}  // namespace dehvf
