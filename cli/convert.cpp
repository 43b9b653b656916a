// dehvf convert: weights in any layout that is read, as one Hugging Face style folder; an adapter as its
// authors published it, as an adapter folder.
#include <cstdio>

#include "cli/command.h"
#include "cli/companions.h"
#include "cli/model_options.h"
#include "core/io/json.h"
#include "core/io/staged_folder.h"
#include "models/load.h"
#include "train/published_adapter.h"

namespace dehvf::cli {
namespace {

namespace fs = std::filesystem;

struct Convert {
  fs::path from, to;
  std::string dtype;  // empty: as it is
  bool json = false;

  // Loaded as stored and rounded on the way out, so that the rounding is counted once.
  std::vector<std::string> convert(std::optional<DType> wanted) const {
    const bool tower = holds_tower(WeightFolder(from));
    if (tower) {
      const auto loaded = load_tower(from, wanted);
      save_tower(to, *loaded.model,
                 wanted.value_or(parameters_of(*loaded.model)[0].parameter->value().dtype()));
      return loaded.notes;
    }
    const auto loaded = load_llama(from, wanted);
    save_llama(to, *loaded.model,
               wanted.value_or(parameters_of(*loaded.model)[0].parameter->value().dtype()));
    return loaded.notes;
  }

  void run() const {
    require<IoError>(fs::exists(from), from.string(), ": wanted a model folder or a published adapter");
    require<ConfigError>(!fs::exists(to) || fs::is_empty(to), to.string(), ": exists and is not empty");
    may_be_published_adapter(from) ? run_adapter() : run_model();
  }

 private:
  void run_adapter() const {
    require<ConfigError>(dtype.empty(), "--dtype: an adapter's folder is f32; export writes it in another");
    std::vector<std::string> notes;
    StagedFolder made(to);
    const std::string whose = import_adapter(from, made.path(), notes);
    made.finish();
    if (json)
      std::printf("%s\n", Json{{"out", to.string()}, {"of", whose}, {"notes", notes}}.dump().c_str());
    else
      std::printf("%s: adapter of %s\n", to.c_str(), whose.c_str());
    if (!json) print_notes(notes);
  }

  void run_model() const {
    const auto notes = convert(dtype.empty() ? std::nullopt : std::optional(dtype_named(dtype)));
    copy_companions(from, to);
    const WeightFolder written(to);
    if (json)
      std::printf("%s\n", Json{{"out", to.string()},
                               {"tensors", written.names().size()},
                               {"fingerprint", written.fingerprint()},
                               {"notes", notes}}
                              .dump()
                              .c_str());
    else
      std::printf("%s: %zu tensors, fingerprint %s\n", to.c_str(), written.names().size(),
                  written.fingerprint().c_str());
    if (!json) print_notes(notes);
  }
};

}  // namespace

void add_convert(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<Convert>();
  auto* command = program.add_subcommand(
      "convert",
      "writes a LLaMA or CLIP tower of any layout that is read (safetensors, .bin, Meta's .pth; sharded or "
      "not) as a Hugging Face style folder\nexample: dehvf convert --from llama_meta --to llama --dtype "
      "bf16\nAn adapter of MemVP, LaVIN or LLaVA becomes an adapter folder: dehvf convert --from "
      "checkpoint-19.pth --to adapter");
  command->add_option("--from", options->from, "model folder, or a published adapter's file or folder")
      ->required();
  command->add_option("--to", options->to, "folder to make; must not exist or be empty")->required();
  command->add_option("--dtype", options->dtype, "f32, f16 or bf16; without it the embedding's own")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}));
  command->add_flag("--json", options->json, "one JSON object on one line");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
