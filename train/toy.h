// The demo's small models and data: sizes, vocabulary, and how the two frozen models come to be.
#pragma once

#include <functional>
#include <memory>

#include "data/scene_generator.h"
#include "train/adapter_task.h"
#include "train/tower_task.h"

namespace dehvf::toy {

VisionConfig tower_config();
LlamaConfig llama_config(const Tokenizer& tokenizer);
ImageRecipe recipe();
PromptOptions prompt();

/// Every word of the worlds' problems, each once, sorted.
std::vector<std::string> words(std::span<const SceneWorld* const> worlds);

using Progress = std::function<void(const StepReport&)>;

struct PretrainOptions {
  int64_t tower_steps = 5500, llama_steps = 2000;
  uint64_t seed = 0;
  Device device;
};

/// The tower learns to see scenes of all worlds; its weights are frozen afterwards.
void pretrain_tower(VisionTower& tower, std::span<const SceneWorld* const> worlds,
                    const PretrainOptions& options, const Progress& progress);

/// The language model learns to answer questions whose fact stands in the hint; frozen afterwards. It never
/// sees a question without its fact: that would teach it to be uniform.
void pretrain_llama(FusedModel& model, std::span<const SceneWorld* const> worlds, const Tokenizer& tokenizer,
                    const PretrainOptions& options, const Progress& progress);

}  // namespace dehvf::toy
