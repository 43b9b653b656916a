// LoRA adapters in PEFT's folders: adapter_config.json and adapter_model.safetensors (older: .bin).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace dehvf {

struct LoraModule {
  Tensor a, b;       // [rank, in] and [out, rank]; the frozen weight [out, in] grows by scale * b a
  double scale = 1;  // alpha / rank, or alpha / sqrt(rank) for rank-stabilised LoRA
};

struct LoraAdapter {
  std::map<std::string, LoraModule> modules;  // by path in the base model: "model.layers.0.self_attn.q_proj"
  int64_t rank = 8;
  double alpha = 8, dropout = 0;
  bool rank_stabilised = false;
  std::string base_model;  // name or path, as the config gives it; may be empty
};

/// Reads a PEFT folder; a rank or alpha of its own for some module is honoured where its pattern is a plain
/// name. Throws IoError for damaged files, listing all unknown or unpaired tensors at once, and ConfigError
/// for what plain LoRA cannot express (other PEFT types, DoRA, biases, ...), naming it. Adds to `notes` what
/// was passed over.
LoraAdapter read_lora(const std::filesystem::path& folder, std::vector<std::string>& notes);

/// Writes such a folder (made if absent); the config comes last, so that a folder with one is complete.
void write_lora(const std::filesystem::path& folder, const LoraAdapter& adapter);

}  // namespace dehvf
