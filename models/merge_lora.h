// LoRA adapters as part of the weights that they change.
#pragma once

#include "models/llama.h"
#include "models/lora_folder.h"

namespace dehvf {

/// Every weight W that the adapter names becomes W + scale * b a, summed in f32 and rounded once to W's
/// dtype. Throws ConfigError listing the modules that `model` lacks or that have other shapes; nothing is
/// changed then.
void merge_lora(Llama& model, const LoraAdapter& adapter);

}  // namespace dehvf
