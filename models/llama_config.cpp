#include "models/llama_config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"

namespace dehvf {
namespace {

constexpr uint64_t kMaxJson = 16 << 20;

int64_t positive(const Json& json, const char* key, const std::string& what, int64_t fallback) {
  const int64_t value = json_get<int64_t>(json, key, what, fallback);
  require<IoError>(value > 0 && value <= (int64_t(1) << 30), what, ": key '", key,
                   "': wanted 1 to 2^30, found ", value);
  return value;
}

int small(const Json& json, const char* key, const std::string& what, int64_t fallback) {
  const int64_t value = positive(json, key, what, fallback);
  require<IoError>(value <= 65536, what, ": key '", key, "': wanted at most 65536, found ", value);
  return int(value);
}

double above_zero(const Json& json, const char* key, const std::string& what, double fallback) {
  const double value = json_get<double>(json, key, what, fallback);
  require<IoError>(value > 0 && std::isfinite(value), what, ": key '", key,
                   "': wanted a number above 0, found ", value);
  return value;
}

bool has(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && !found->is_null();
}

void refuse_what_is_not_computed(const Json& json, const std::string& what) {
  const auto model = json_get<std::string>(json, "model_type", what, "llama");
  require<ConfigError>(model == "llama", what, ": model_type '", printable(model),
                       "': only llama is supported");
  const auto act = json_get<std::string>(json, "hidden_act", what, "silu");
  require<ConfigError>(act == "silu", what, ": hidden_act '", printable(act), "': only silu is supported");
  for (const char* key : {"attention_bias", "mlp_bias"})
    require<ConfigError>(!json_get<bool>(json, key, what, false), what, ": ", key, " true is not supported");
  require<ConfigError>(
      !has(json, "quantization_config"), what,
      ": quantization_config: quantised weights are not supported, use the unquantised model");
}

void read_rope(const Json& json, const std::string& what, RopeOptions& rope) {
  const bool renamed = has(json, "rope_parameters");
  rope.theta = above_zero(json, "rope_theta", what, rope.theta);
  const char* const key = renamed ? "rope_parameters" : "rope_scaling";
  if (!has(json, key)) return;
  const Json& scaling = json[key];
  const std::string inside = concat(what, ": ", key);
  if (renamed) rope.theta = above_zero(scaling, "rope_theta", inside, rope.theta);
  const auto older = json_get<std::string>(scaling, "type", inside, "default");
  const auto kind = json_get<std::string>(scaling, "rope_type", inside, older);
  if (kind == "default") return;
  require<ConfigError>(kind == "linear" || kind == "llama3", inside, ": rope type '", printable(kind),
                       "' is not supported, only default, linear and llama3");
  rope.kind = kind == "linear" ? RopeKind::linear : RopeKind::llama3;
  json_get<double>(scaling, "factor", inside);
  rope.factor = above_zero(scaling, "factor", inside, 1);
  if (rope.kind == RopeKind::linear) return;
  for (const char* needed : {"low_freq_factor", "high_freq_factor", "original_max_position_embeddings"})
    json_get<double>(scaling, needed, inside);
  rope.low_frequency_factor = above_zero(scaling, "low_freq_factor", inside, 1);
  rope.high_frequency_factor = above_zero(scaling, "high_freq_factor", inside, 4);
  rope.original_context = positive(scaling, "original_max_position_embeddings", inside, 8192);
  require<IoError>(rope.low_frequency_factor < rope.high_frequency_factor, inside,
                   ": wanted low_freq_factor below high_freq_factor");
}

int32_t token_id(const Json& id, const char* key, const std::string& what) {
  const bool fits = id.is_number_integer() && id >= -1 && id <= (1 << 30);
  require<IoError>(fits, what, ": key '", key, "': wanted a token id, found ", printable(id.dump(), 60));
  return id.get<int32_t>();
}

std::vector<int32_t> read_eos(const Json& json, const std::string& what,
                              const std::vector<int32_t>& fallback) {
  const auto found = json.find("eos_token_id");
  if (found == json.end()) return fallback;
  if (found->is_null()) return {};
  const Json list = found->is_array() ? *found : Json::array({*found});
  std::vector<int32_t> ids;
  for (const Json& id : list) ids.push_back(token_id(id, "eos_token_id", what));
  return ids;
}

// Some early conversions carry the ids 0, 1, -1; every LLaMA SentencePiece model has bos 1, eos 2 and no pad.
void read_ids(const Json& json, const std::string& what, LlamaConfig& config,
              std::vector<std::string>& notes) {
  if (has(json, "bos_token_id")) config.bos = token_id(json["bos_token_id"], "bos_token_id", what);
  if (has(json, "pad_token_id")) config.pad = token_id(json["pad_token_id"], "pad_token_id", what);
  config.eos = read_eos(json, what, config.eos);
  if (!has(json, "pad_token_id") || config.pad != -1) return;
  if (config.bos == 0 && config.eos == std::vector<int32_t>{1}) {
    config.bos = 1;
    config.eos = {2};
    notes.push_back(
        what + ": bos 0, eos 1, pad -1 are the ids of a faulty conversion; taken as bos 1, eos 2, no pad");
  } else {
    notes.push_back(what + ": pad_token_id -1 is taken as no pad token");
  }
}

void check_shape(const LlamaConfig& config, const std::string& what) {
  require<IoError>(config.heads % config.kv_heads == 0, what, ": ", config.heads,
                   " heads are no multiple of the key/value heads, found ", config.kv_heads);
  require<IoError>(config.head_dim % 2 == 0, what, ": head_dim: rope wants an even one, found ",
                   config.head_dim);
  for (int64_t size : {config.width, config.ffn, config.head_dim})
    require<IoError>(size <= (1 << 24), what, ": a size of ", size,
                     " is larger than any LLaMA, wanted at most 2^24");
}

struct NamedDType {
  const char* name;  // Hugging Face's
  const char* ours;
};
constexpr std::array kDTypes{NamedDType{"float32", "f32"}, NamedDType{"bfloat16", "bf16"},
                             NamedDType{"float16", "f16"}, NamedDType{"float64", "f64"}};

std::string read_dtype(const Json& json, const std::string& what, std::vector<std::string>& notes) {
  const auto older = json_get<std::string>(json, "torch_dtype", what, "float32");
  const auto wanted = json_get<std::string>(json, "dtype", what, older);
  for (const auto& [name, ours] : kDTypes)
    if (wanted == name) return ours;
  notes.push_back(
      concat(what, ": dtype '", printable(wanted), "' is not known; the tensors say what they are"));
  return "f32";
}

LlamaConfig from_hugging_face(const Json& json, const std::string& what, std::vector<std::string>& notes) {
  refuse_what_is_not_computed(json, what);
  LlamaConfig config;
  config.vocab = positive(json, "vocab_size", what, config.vocab);
  config.width = positive(json, "hidden_size", what, config.width);
  config.ffn = positive(json, "intermediate_size", what, config.ffn);
  config.layers = small(json, "num_hidden_layers", what, config.layers);
  config.heads = small(json, "num_attention_heads", what, config.heads);
  config.kv_heads = small(json, "num_key_value_heads", what, config.heads);
  require<IoError>(has(json, "head_dim") || config.width % config.heads == 0, what, ": hidden_size ",
                   config.width, " is no multiple of ", config.heads, " heads and head_dim is absent");
  config.head_dim = positive(json, "head_dim", what, config.width / config.heads);
  config.norm_eps = above_zero(json, "rms_norm_eps", what, config.norm_eps);
  if (!has(json, "max_position_embeddings") && has(json, "max_sequence_length")) {
    config.context = positive(json, "max_sequence_length", what, config.context);
    notes.push_back(what + ": max_sequence_length is taken as max_position_embeddings");
  } else {
    config.context = positive(json, "max_position_embeddings", what, config.context);
  }
  config.tied = json_get<bool>(json, "tie_word_embeddings", what, false);
  read_rope(json, what, config.rope);
  read_ids(json, what, config, notes);
  config.dtype = read_dtype(json, what, notes);
  if (positive(json, "pretraining_tp", what, 1) > 1)
    notes.push_back(what + ": pretraining_tp is ignored; it only changes how products are split");
  check_shape(config, what);
  return config;
}

// Text generation stops at the ids of this file where it exists.
void read_generation_eos(const std::filesystem::path& path, LlamaConfig& config,
                         std::vector<std::string>& notes) {
  if (!std::filesystem::exists(path)) return;
  const Json json = read_json(path, kMaxJson);
  require<IoError>(json.is_object(), path.string(), ": wanted a JSON object, found ", json.type_name());
  const auto eos = read_eos(json, path.string(), config.eos);
  for (int32_t id : eos)
    if (std::find(config.eos.begin(), config.eos.end(), id) == config.eos.end()) {
      notes.push_back(concat(path.string(), ": adds ", id, " to the end tokens"));
      config.eos.push_back(id);
    }
}

int64_t meta_ffn(const Json& json, const std::string& what, int64_t width) {
  const int64_t multiple = positive(json, "multiple_of", what, 256);
  const double factor = above_zero(json, "ffn_dim_multiplier", what, 1);
  const int64_t plain = 8 * width / 3;
  const double wanted = std::floor(factor * double(plain));
  require<IoError>(wanted >= 1 && wanted <= double(1 << 24), what, ": ffn_dim_multiplier gives an FFN of ",
                   wanted);
  return (int64_t(wanted) + multiple - 1) / multiple * multiple;
}

LlamaConfig from_meta(const Json& json, const std::string& what, std::vector<std::string>& notes) {
  LlamaConfig config;
  for (const char* key : {"dim", "n_layers", "n_heads"}) json_get<int64_t>(json, key, what);
  config.width = positive(json, "dim", what, 0);
  config.layers = small(json, "n_layers", what, 0);
  config.heads = small(json, "n_heads", what, 0);
  config.kv_heads = small(json, "n_kv_heads", what, config.heads);
  require<IoError>(config.width % config.heads == 0, what, ": dim ", config.width, " is no multiple of ",
                   config.heads, " heads");
  config.head_dim = config.width / config.heads;
  config.ffn = meta_ffn(json, what, config.width);
  config.norm_eps = above_zero(json, "norm_eps", what, config.norm_eps);
  const int64_t vocab = json_get<int64_t>(json, "vocab_size", what, -1);
  config.vocab = vocab == -1 ? 0 : positive(json, "vocab_size", what, 0);
  config.rope.theta = above_zero(json, "rope_theta", what, config.rope.theta);
  if (json_get<bool>(json, "use_scaled_rope", what, false)) {
    config.rope.kind = RopeKind::llama3;
    config.rope.factor = above_zero(json, "rope_scaling_factor", what, 8);
  }
  const bool third = config.vocab >= 128000;
  if (third) config.bos = 128000, config.eos = {128001, 128009};
  config.context = config.rope.kind == RopeKind::llama3 ? 131072
                   : third                              ? 8192
                   : config.norm_eps > 5e-6             ? 4096
                                                        : 2048;
  config.dtype = third ? "bf16" : "f16";
  notes.push_back(concat(what, ": says nothing about the context length; ", config.context, " is assumed"));
  check_shape(config, what);
  return config;
}

Json rope_scaling(const RopeOptions& rope) {
  if (rope.kind == RopeKind::linear)
    return {{"type", "linear"}, {"rope_type", "linear"}, {"factor", rope.factor}};
  if (rope.kind == RopeKind::llama3)
    return {{"rope_type", "llama3"},
            {"factor", rope.factor},
            {"low_freq_factor", rope.low_frequency_factor},
            {"high_freq_factor", rope.high_frequency_factor},
            {"original_max_position_embeddings", rope.original_context}};
  return nullptr;
}

}  // namespace

LlamaConfig llama_7b() { return {}; }

LlamaConfig llama_13b() {
  LlamaConfig config;
  config.width = 5120;
  config.ffn = 13824;
  config.layers = config.heads = config.kv_heads = 40;
  return config;
}

LlamaConfig read_llama_config(const std::filesystem::path& folder, std::vector<std::string>& notes) {
  const auto hugging_face = folder / "config.json", meta = folder / "params.json";
  const bool is_meta = !std::filesystem::exists(hugging_face) && std::filesystem::exists(meta);
  const auto& path = is_meta ? meta : hugging_face;
  const Json json = read_json(path, kMaxJson);
  if (is_meta) return from_meta(json, path.string(), notes);
  LlamaConfig config = from_hugging_face(json, path.string(), notes);
  read_generation_eos(folder / "generation_config.json", config, notes);
  return config;
}

void match_vocab(LlamaConfig& config, int64_t embedding_rows, std::vector<std::string>& notes) {
  if (config.vocab != 0 && config.vocab != embedding_rows)
    notes.push_back(concat("config: vocabulary of ", config.vocab, ", but the embedding has ", embedding_rows,
                           " rows; the embedding wins"));
  config.vocab = embedding_rows;
}

void write_llama_config(const std::filesystem::path& folder, const LlamaConfig& config) {
  Json eos = config.eos;
  if (config.eos.size() == 1) eos = config.eos[0];
  std::string dtype = config.dtype;
  for (const auto& [name, ours] : kDTypes)
    if (config.dtype == ours) dtype = name;
  write_json(folder / "config.json", {{"architectures", {"LlamaForCausalLM"}},
                                      {"model_type", "llama"},
                                      {"vocab_size", config.vocab},
                                      {"hidden_size", config.width},
                                      {"intermediate_size", config.ffn},
                                      {"num_hidden_layers", config.layers},
                                      {"num_attention_heads", config.heads},
                                      {"num_key_value_heads", config.kv_heads},
                                      {"head_dim", config.head_dim},
                                      {"hidden_act", "silu"},
                                      {"rms_norm_eps", config.norm_eps},
                                      {"max_position_embeddings", config.context},
                                      {"tie_word_embeddings", config.tied},
                                      {"attention_bias", false},
                                      {"mlp_bias", false},
                                      {"rope_theta", config.rope.theta},
                                      {"rope_scaling", rope_scaling(config.rope)},
                                      {"bos_token_id", config.bos},
                                      {"eos_token_id", config.eos.empty() ? Json(nullptr) : eos},
                                      {"pad_token_id", config.pad >= 0 ? Json(config.pad) : Json(nullptr)},
                                      {"torch_dtype", dtype}});
}

}  // namespace dehvf
