// LLaMA and tower folders to frozen models and back, as transformers writes and reads them.
#pragma once

#include <memory>
#include <optional>

#include "models/llama.h"
#include "models/vision_tower.h"
#include "models/weight_folder.h"

namespace dehvf {

template <class Model>
struct Loaded {
  std::unique_ptr<Model> model;
  std::vector<std::string> notes;  // for the user: what was odd, ignored, rounded
};

/// A whole folder, its weights frozen on the CPU and turned into `dtype` (without one: the dtype of its
/// embedding). Throws IoError listing every missing and mis-shaped tensor, and for a weight that `dtype`
/// cannot hold.
Loaded<Llama> load_llama(const std::filesystem::path& folder, std::optional<DType> dtype = {});
Loaded<VisionTower> load_tower(const std::filesystem::path& folder, std::optional<DType> dtype = {});

/// Whether these are the weights of a tower of any family.
bool holds_tower(const WeightFolder& weights);

/// The same in two steps, for models that exist already: the folder's config with the vocabulary of its
/// weights, and the weights into a model of that config.
LlamaConfig llama_config_of(const WeightFolder& weights, std::vector<std::string>& notes);
void load_weights(Llama& model, const WeightFolder& weights, std::optional<DType> dtype,
                  std::vector<std::string>& notes);
void load_weights(VisionTower& model, const WeightFolder& weights, std::optional<DType> dtype,
                  std::vector<std::string>& notes);

/// Writes model.safetensors in `dtype` (f32, bf16, f16), then config.json; makes the folder. Throws IoError
/// for a weight that `dtype` cannot hold, before anything is written.
void save_llama(const std::filesystem::path& folder, Llama& model, DType dtype);
void save_tower(const std::filesystem::path& folder, VisionTower& model, DType dtype);

}  // namespace dehvf
