// Models whose sizes are published, by the names of their folders: for what can be said without weights.
#pragma once

#include <string>

#include "models/llama_config.h"
#include "models/vision_config.h"

namespace dehvf {

LlamaConfig published_llama(const std::string& name);  // llama-7b, llama-13b; throws ConfigError naming them
/// clip-vit-large-patch14, ...-336, dinov2-large, siglip-so400m-patch14-384; the same.
VisionConfig published_tower(const std::string& name);

}  // namespace dehvf
