#include "models/clip_config.h"

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

int64_t size_of_key(const Json& json, const char* key, const std::string& what, int64_t fallback) {
  const int64_t value = json_get<int64_t>(json, key, what, fallback);
  require<IoError>(value > 0 && value <= (1 << 20), what, ": key '", key, "': wanted 1 to 2^20, found ",
                   value);
  return value;
}

Activation activation_of(const Json& json, const std::string& what) {
  const auto wanted = json_get<std::string>(json, "hidden_act", what, "quick_gelu");
  for (const auto& [name, activation] : kActivations)
    if (wanted == name) return activation;
  fail<ConfigError>(what, ": hidden_act '", printable(wanted),
                    "': only quick_gelu, gelu and gelu_pytorch_tanh");
}

// The tower's own part of a joint config; older files name it vision_config_dict.
Json vision_part(const Json& json, const std::string& what) {
  const auto model = json_get<std::string>(json, "model_type", what, "clip_vision_model");
  if (model == "clip_vision_model") return json;
  require<ConfigError>(model == "clip", what, ": model_type '", printable(model),
                       "': only clip and clip_vision_model are supported");
  for (const char* key : {"vision_config", "vision_config_dict"})
    if (json.contains(key) && json[key].is_object()) return json[key];
  fail<IoError>(what, ": wanted an object 'vision_config', found none");
}

}  // namespace

ClipConfig clip_l14() { return {}; }

ClipConfig read_clip_config(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  const std::string what = path.string();
  const Json json = vision_part(read_json(path, 16 << 20), what);
  ClipConfig config;
  config.width = size_of_key(json, "hidden_size", what, 768);
  config.layers = int(size_of_key(json, "num_hidden_layers", what, 12));
  config.heads = int(size_of_key(json, "num_attention_heads", what, 12));
  config.mlp = size_of_key(json, "intermediate_size", what, 3072);
  config.patch = size_of_key(json, "patch_size", what, 32);
  config.image = size_of_key(json, "image_size", what, 224);
  config.activation = activation_of(json, what);
  config.norm_eps = json_get<double>(json, "layer_norm_eps", what, 1e-5);
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

void write_clip_config(const std::filesystem::path& folder, const ClipConfig& config) {
  std::string activation;
  for (const auto& named : kActivations)
    if (named.activation == config.activation) activation = named.name;
  require<ConfigError>(!activation.empty(), "clip config: a tower has no activation ",
                       name_of(config.activation));
  write_json(folder / "config.json", {{"architectures", {"CLIPVisionModel"}},
                                      {"model_type", "clip_vision_model"},
                                      {"hidden_size", config.width},
                                      {"num_hidden_layers", config.layers},
                                      {"num_attention_heads", config.heads},
                                      {"intermediate_size", config.mlp},
                                      {"patch_size", config.patch},
                                      {"image_size", config.image},
                                      {"num_channels", 3},
                                      {"hidden_act", activation},
                                      {"layer_norm_eps", config.norm_eps}});
}

}  // namespace dehvf
