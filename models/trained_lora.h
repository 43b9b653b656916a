// LoRA as a LLaMA is trained with it, out of PEFT's folders and into them.
#pragma once

#include "models/llama.h"
#include "models/lora_folder.h"
#include "models/safetensors.h"

namespace dehvf {

/// The tuning under which a model holds `adapter`. Throws ConfigError where that is not one rank, one alpha
/// and the same maps of every block: such an adapter can be merged, not trained.
LlamaTuning tuning_for(const LoraAdapter& adapter);

/// Gives the LoRA of `model` the adapter's values in f32. Throws ConfigError listing the modules that one of
/// them lacks or has in another shape; nothing is changed then.
void load_lora(Llama& model, const LoraAdapter& adapter, bool trainable);

/// The pairs lora_A.weight and lora_B.weight among `tensors`, named `prefix` and the path of their map.
LoraAdapter lora_among(const NamedTensors& tensors, std::string_view prefix, const LoraConfig& config);

}  // namespace dehvf
