#include "models/llama_config.h"

namespace dehvf {

LlamaConfig llama_7b() { return {}; }

LlamaConfig llama_13b() {
  LlamaConfig config;
  config.width = 5120;
  config.ffn = 13824;
  config.layers = config.heads = config.kv_heads = 40;
  return config;
}

}  // namespace dehvf
