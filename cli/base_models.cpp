#include "cli/base_models.h"

#include <xxhash.h>

#include "cli/worlds.h"
#include "core/io/file.h"
#include "core/random.h"
#include "models/load.h"
#include "train/toy.h"

namespace dehvf::cli {
namespace {

constexpr const char* kHashes = "hashes.json";

Json hashes_of(const std::filesystem::path& folder) {
  Json hashes = Json::object();
  for (const char* file : {"llama/model.safetensors", "llama/tokenizer.json", "tower/model.safetensors"}) {
    const std::string bytes = read_file(folder / file);
    hashes[file] = XXH3_64bits(bytes.data(), bytes.size());
  }
  return hashes;
}

BaseModels folders(const std::filesystem::path& folder) { return {folder / "llama", folder / "tower"}; }

}  // namespace

BaseModels shipped_base(const std::filesystem::path& assets) {
  const auto folder = assets / "examples" / "toy";
  const Json wanted = read_json(folder / kHashes), found = hashes_of(folder);
  for (const auto& [file, hash] : wanted.items())
    require<IoError>(found.contains(file) && found[file] == hash, (folder / file).string(),
                     ": not the shipped bytes; restore it, or make new ones: dehvf demo --full");
  return folders(folder);
}

BaseModels pretrain_base(const std::filesystem::path& folder, const std::filesystem::path& assets,
                         Device device, Progress& progress) {
  const SceneWorld scenes = open_world("scenes", assets), pictures = open_world("pictures", assets);
  const SceneWorld* const worlds[] = {&scenes, &pictures};
  BaseModels base = folders(folder);
  std::filesystem::create_directories(base.llama);
  write_byte_level_tokenizer(base.llama / "tokenizer.json", toy::words(worlds));
  const auto tokenizer = open_tokenizer(base.llama);
  FusedModel model(toy::llama_config(*tokenizer), toy::tower_config(), {.fusion = "none"});
  const toy::PretrainOptions options{.device = device};
  const auto show = [&](const StepReport& report) {
    progress.step(report.step, concat("loss ", std::round(report.loss * 1000) / 1000));
  };
  progress.phase("pre-training the tower", options.tower_steps);
  toy::pretrain_tower(model.tower(), worlds, options, show);
  progress.phase("pre-training the LLaMA", options.llama_steps);
  toy::pretrain_llama(model, worlds, *tokenizer, options, show);
  save_llama(base.llama, model.llama(), DType::f16);
  save_tower(base.tower, model.tower(), DType::f16);
  write_json(base.tower / "preprocessor_config.json", to_json(toy::recipe()));
  write_json(folder / kHashes, hashes_of(folder));
  return base;
}

}  // namespace dehvf::cli
