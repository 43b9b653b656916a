// An adapter on disk: adapter_config.json, adapter_model.safetensors and a model card, in the shape of PEFT's
// folders but of a type of our own.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "layers/module.h"
#include "models/llama_tuning.h"
#include "models/safetensors.h"

namespace dehvf {

/// All that must be known to use an adapter again.
struct AdapterDescription {
  using Options = std::map<std::string, std::string>;
  std::string fusion;      // the operator's registered name
  Options fusion_options;  // resolved: every key
  bool tower_adapters = false;
  Options tower_adapter_options;
  Options tuning;  // of the language model, as tuning_options() has it; empty: none
  std::string base_model, tower_model, tokenizer;  // names or paths, for people
  std::string base_fingerprint, tower_fingerprint, tokenizer_fingerprint;
  std::string image_recipe, prompt_format;
  int64_t training_step = 0;

  friend bool operator==(const AdapterDescription&, const AdapterDescription&) = default;
};

/// The run's keys of what is tuned, and back. Throws ConfigError for keys and values that do not exist.
AdapterDescription::Options tuning_options(const LlamaTuning& tuning);
LlamaTuning tuning_of(const AdapterDescription::Options& options);

/// Facts for the model card's front matter only.
struct AdapterCard {
  std::vector<std::string> datasets, metrics, tags;
  std::string license, text;  // text: Markdown below the generated part
};

/// Writes the folder (made if absent), each file atomically and the config last, with a checksum over the
/// tensors: a mixture of two adapters is refused when read. Every parameter of `adapter` must have a value.
void write_adapter_folder(const std::filesystem::path& folder, Module& adapter,
                          const AdapterDescription& description, const AdapterCard& card = {});
/// The same of tensors that stand alone, f32 and sorted by name.
void write_adapter_folder(const std::filesystem::path& folder, const NamedTensors& tensors,
                          const AdapterDescription& description, const AdapterCard& card = {});

/// The tensors of an adapter folder, held against its checksum, as they are stored. Throws IoError.
NamedTensors read_adapter_tensors(const std::filesystem::path& folder);

/// The LoRA in adapter folder `from` as a folder that PEFT loads. What else the adapter has goes into
/// `notes`. Throws ConfigError for an adapter without LoRA.
void write_peft_folder(const std::filesystem::path& from, const std::filesystem::path& to,
                       std::vector<std::string>& notes);

/// A copy of adapter folder `from` for others: its weights in `dtype` (f32, bf16, f16), a card with `card`'s
/// facts. Throws IoError for a weight that `dtype` cannot hold, before anything is written.
void publish_adapter_folder(const std::filesystem::path& from, const std::filesystem::path& to, DType dtype,
                            const AdapterCard& card);

/// Throws IoError for a damaged file, ConfigError for an adapter of another type (PEFT's own among them).
AdapterDescription read_adapter_config(const std::filesystem::path& folder);

/// Gives every parameter of `adapter` the folder's value, in f32 whatever it is stored in; where it is to be
/// frozen and replaces a frozen one (a tuned weight), in that one's dtype. Throws IoError for
/// damage, and ConfigError listing every missing, extra and mis-shaped tensor; `adapter` is then unchanged.
void load_adapter(const std::filesystem::path& folder, Module& adapter, bool trainable);

/// Throws Error unless the folder reads back as exactly this adapter, naming the first difference.
void verify_adapter_folder(const std::filesystem::path& folder, Module& adapter,
                           const AdapterDescription& description);

}  // namespace dehvf
