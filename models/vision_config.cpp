#include "models/vision_config.h"

#include <array>
#include <cmath>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"

namespace dehvf {
namespace {

struct NamedActivation {
  const char* name;
  Activation activation;
};
constexpr std::array kActivations{NamedActivation{"quick_gelu", Activation::gelu_quick},
                                  NamedActivation{"gelu", Activation::gelu},
                                  NamedActivation{"gelu_pytorch_tanh", Activation::gelu_tanh}};

// What a model_type stands for, with the defaults of its class.
struct ModelType {
  const char* name;
  VisionFamily family;
  bool joint;  // the tower's part is an object inside
  const char* architecture;
  int64_t patch;
  const char* activation;
  double norm_eps;
  int64_t registers;
};
constexpr std::array kModelTypes{
    ModelType{"clip_vision_model", VisionFamily::clip, false, "CLIPVisionModel", 32, "quick_gelu", 1e-5, 0},
    ModelType{"clip", VisionFamily::clip, true, "", 32, "quick_gelu", 1e-5, 0},
    ModelType{"siglip_vision_model", VisionFamily::siglip, false, "SiglipVisionModel", 16,
              "gelu_pytorch_tanh", 1e-6, 0},
    ModelType{"siglip", VisionFamily::siglip, true, "", 16, "gelu_pytorch_tanh", 1e-6, 0},
    ModelType{"dinov2", VisionFamily::dinov2, false, "Dinov2Model", 14, "gelu", 1e-6, 0},
    ModelType{"dinov2_with_registers", VisionFamily::dinov2, false, "Dinov2WithRegistersModel", 16, "gelu",
              1e-6, 4},
};

const ModelType& model_type(const std::string& name, const std::string& what) {
  std::string known;
  for (const ModelType& type : kModelTypes) {
    if (name == type.name) return type;
    known += concat(known.empty() ? "" : ", ", type.name);
  }
  fail<ConfigError>(what, ": model_type '", printable(name), "' is no tower; known are ", known);
}

int64_t size_of_key(const Json& json, const char* key, const std::string& what, int64_t fallback) {
  const int64_t value = json_get<int64_t>(json, key, what, fallback);
  require<IoError>(value > 0 && value <= (1 << 20), what, ": key '", key, "': wanted 1 to 2^20, found ",
                   value);
  return value;
}

Activation activation_of(const Json& json, const std::string& what, const std::string& fallback) {
  const auto wanted = json_get<std::string>(json, "hidden_act", what, fallback);
  for (const auto& [name, activation] : kActivations)
    if (wanted == name) return activation;
  fail<ConfigError>(what, ": hidden_act '", printable(wanted),
                    "': only quick_gelu, gelu and gelu_pytorch_tanh");
}

// The tower's own part of a joint config; older files name it vision_config_dict.
Json vision_part(const Json& json, const ModelType& type, const std::string& what) {
  if (!type.joint) return json;
  for (const char* key : {"vision_config", "vision_config_dict"})
    if (json.contains(key) && json[key].is_object()) return json[key];
  fail<IoError>(what, ": wanted an object 'vision_config', found none");
}

// DINOv2 has no intermediate_size, and two forms that are not read here.
void read_dinov2(const Json& json, const ModelType& type, const std::string& what, VisionConfig& config) {
  require<ConfigError>(!json_get<bool>(json, "use_swiglu_ffn", what, false), what,
                       ": use_swiglu_ffn: the giant DINOv2's MLP is not supported, wanted small, base or "
                       "large");
  require<ConfigError>(json_get<bool>(json, "qkv_bias", what, true), what,
                       ": qkv_bias: wanted true, found false");
  const auto ratio = json_get<double>(json, "mlp_ratio", what, 4.0);
  config.mlp = int64_t(double(config.width) * ratio);
  require<IoError>(ratio > 0 && config.mlp > 0 && config.mlp <= (1 << 20), what, ": key 'mlp_ratio': found ",
                   ratio);
  if (type.registers > 0)
    config.registers = json_get<int64_t>(json, "num_register_tokens", what, type.registers);
  require<IoError>(0 <= config.registers && config.registers <= (1 << 12), what,
                   ": key 'num_register_tokens': wanted 0 to 4096, found ", config.registers);
}

}  // namespace

VisionConfig clip_l14() { return {}; }

VisionConfig siglip_so400m() {
  return {.width = 1152,
          .mlp = 4304,
          .layers = 27,
          .heads = 16,
          .patch = 14,
          .image = 384,
          .activation = Activation::gelu_tanh,
          .norm_eps = 1e-6,
          .family = VisionFamily::siglip};
}

VisionConfig dinov2_l14() {
  return {.image = 518, .activation = Activation::gelu, .norm_eps = 1e-6, .family = VisionFamily::dinov2};
}

VisionConfig read_vision_config(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  const std::string what = path.string();
  const Json whole = read_json(path, 16 << 20);
  const ModelType& type =
      model_type(json_get<std::string>(whole, "model_type", what, "clip_vision_model"), what);
  const Json json = vision_part(whole, type, what);
  VisionConfig config{.family = type.family};
  config.width = size_of_key(json, "hidden_size", what, 768);
  config.layers = int(size_of_key(json, "num_hidden_layers", what, 12));
  config.heads = int(size_of_key(json, "num_attention_heads", what, 12));
  config.patch = size_of_key(json, "patch_size", what, type.patch);
  config.image = size_of_key(json, "image_size", what, 224);
  config.activation = activation_of(json, what, type.activation);
  config.norm_eps = json_get<double>(json, "layer_norm_eps", what, type.norm_eps);
  if (type.family == VisionFamily::dinov2)
    read_dinov2(json, type, what, config);
  else
    config.mlp = size_of_key(json, "intermediate_size", what, 3072);
  const int64_t channels = json_get<int64_t>(json, "num_channels", what, 3);
  require<ConfigError>(channels == 3, what, ": num_channels: wanted 3, found ", channels);
  require<IoError>(config.norm_eps > 0 && std::isfinite(config.norm_eps), what,
                   ": layer_norm_eps: wanted above 0, found ", config.norm_eps);
  require<IoError>(config.width % config.heads == 0, what, ": hidden_size ", config.width,
                   " is no multiple of ", config.heads, " heads");
  require<IoError>(config.patch <= config.image, what, ": patch_size ", config.patch, " above image_size ",
                   config.image);
  return config;
}

void write_vision_config(const std::filesystem::path& folder, const VisionConfig& config) {
  std::string activation;
  for (const auto& named : kActivations)
    if (named.activation == config.activation) activation = named.name;
  require<ConfigError>(!activation.empty(), "vision config: a tower has no activation ",
                       name_of(config.activation));
  const ModelType* type = kModelTypes.data();
  while (type->family != config.family || type->joint || (type->registers > 0) != (config.registers > 0))
    ++type;
  Json json{{"architectures", {type->architecture}},
            {"model_type", type->name},
            {"hidden_size", config.width},
            {"num_hidden_layers", config.layers},
            {"num_attention_heads", config.heads},
            {"patch_size", config.patch},
            {"image_size", config.image},
            {"num_channels", 3},
            {"hidden_act", activation},
            {"layer_norm_eps", config.norm_eps}};
  if (config.family != VisionFamily::dinov2) {
    json["intermediate_size"] = config.mlp;
  } else {
    require<ConfigError>(config.mlp % config.width == 0, "vision config: DINOv2's MLP of ", config.mlp,
                         " is no multiple of its width ", config.width);
    json["mlp_ratio"] = config.mlp / config.width;
  }
  if (config.registers > 0) json["num_register_tokens"] = config.registers;
  write_json(folder / "config.json", json);
}

}  // namespace dehvf
