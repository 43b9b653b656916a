// Sizes and constants of a LLaMA, and its folder's config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/ops/rope.h"

namespace dehvf {

struct LlamaConfig {
  int64_t vocab = 32000, width = 4096, ffn = 11008;
  int layers = 32, heads = 32, kv_heads = 32;
  int64_t head_dim = 128, context = 2048;
  double norm_eps = 1e-6;
  RopeOptions rope;
  bool tied = false;          // the head is the embedding
  int32_t bos = 1, pad = -1;  // -1: none
  std::vector<int32_t> eos{2};
  std::string dtype = "f32";  // what the folder says its weights are

  friend bool operator==(const LlamaConfig&, const LlamaConfig&) = default;
};

/// Shapes of the published LLaMA-7B and 13B.
LlamaConfig llama_7b();
LlamaConfig llama_13b();

/// Reads `folder`/config.json (with the end tokens of generation_config.json), else Meta's
/// `folder`/params.json. Absent keys take the defaults of the model's class; what was corrected, ignored or
/// assumed is added to `notes`. Throws IoError for a damaged file and ConfigError for what is not computed
/// here (other architectures, activations, rope types, biases, quantised weights), naming it. params.json may
/// leave the vocabulary open: it is then 0, for match_vocab() to set.
LlamaConfig read_llama_config(const std::filesystem::path& folder, std::vector<std::string>& notes);

/// The embedding's rows win over the config's vocabulary; a difference is noted.
void match_vocab(LlamaConfig& config, int64_t embedding_rows, std::vector<std::string>& notes);

void write_llama_config(const std::filesystem::path& folder,
                        const LlamaConfig& config);  // config.json, atomically

}  // namespace dehvf
