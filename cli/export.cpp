// dehvf export: a LLaMA with a LoRA merged into it, or an adapter folder ready to publish.
#include <cstdio>

#include "cli/command.h"
#include "cli/companions.h"
#include "cli/model_options.h"
#include "core/io/json.h"
#include "core/io/staged_folder.h"
#include "models/load.h"
#include "models/merge_lora.h"
#include "train/adapter_folder.h"
#include "train/published_adapter.h"

namespace dehvf::cli {
namespace {

struct Export {
  std::filesystem::path model, lora, adapter, out;
  std::string dtype;  // empty: f32
  AdapterCard card;
  bool peft = false, published = false, json = false;

  void run() const {
    const bool merges = !model.empty() && !lora.empty() && adapter.empty();
    const bool publishes = model.empty() && lora.empty() && !adapter.empty();
    require<ConfigError>(merges || publishes,
                         "export: wanted either --model with --lora, or --adapter alone");
    const bool plain = dtype.empty() && card.license.empty() && card.datasets.empty() && card.metrics.empty();
    require<ConfigError>(
        publishes || plain,
        "export: --dtype, --license, --dataset and --metric belong to --adapter; a merged model keeps its "
        "dtype");
    require<ConfigError>(!(peft || published) || (publishes && plain && !(peft && published)),
                         "export: --peft and --published belong to --adapter alone");
    StagedFolder made(out);
    std::vector<std::string> notes;
    if (merges)
      merge(made.path(), notes);
    else if (peft)
      write_peft_folder(adapter, made.path(), notes);
    else if (published)
      export_adapter(adapter, made.path() / "published.safetensors", notes);
    else
      publish_adapter_folder(adapter, made.path(), dtype.empty() ? DType::f32 : dtype_named(dtype), card);
    made.finish();
    if (json)
      std::printf("%s\n", Json{{"out", out.string()}, {"notes", notes}}.dump().c_str());
    else
      std::printf("%s: %s\n", out.string().c_str(),
                  merges      ? "model with the LoRA merged"
                  : peft      ? "LoRA folder for PEFT"
                  : published ? "published.safetensors, the adapter under its authors' names"
                              : "adapter with its model card");
    if (!json) print_notes(notes);
  }

 private:
  void merge(const std::filesystem::path& folder, std::vector<std::string>& notes) const {
    const LoraAdapter found = read_lora(lora, notes);
    const auto loaded = load_llama(model);
    notes.insert(notes.end(), loaded.notes.begin(), loaded.notes.end());
    const DType stored = parameters_of(*loaded.model)[0].parameter->value().dtype();
    merge_lora(*loaded.model, found);
    save_llama(folder, *loaded.model, stored);
    copy_companions(model, folder);
  }
};

}  // namespace

void add_export(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<Export>();
  auto* command = program.add_subcommand(
      "export",
      "writes a LLaMA with a LoRA merged into it, or an adapter ready to publish\n"
      "example: dehvf export --model llama --lora my_lora --out merged\n"
      "example: dehvf export --adapter runs/toy/adapter --dtype bf16 --license apache-2.0 --out published");
  command->add_option("--model", options->model, "LLaMA: a folder as Hugging Face's or Meta's");
  command->add_option("--lora", options->lora, "PEFT folder of plain LoRA, merged into the model in f32");
  command->add_option("--adapter", options->adapter, "adapter folder of dehvf train");
  command->add_option("--out", options->out, "folder to make; must not exist or be empty")->required();
  command
      ->add_option("--dtype", options->dtype,
                   "f32, f16 or bf16, of a published adapter's weights; f32 without it")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}));
  command->add_option("--license", options->card.license, "for the model card");
  command->add_option("--dataset", options->card.datasets, "for the model card; repeatable")
      ->allow_extra_args(false);
  command->add_option("--metric", options->card.metrics, "for the model card; repeatable")
      ->allow_extra_args(false);
  command->add_flag("--peft", options->peft, "the adapter's LoRA, as a folder that PEFT loads");
  command->add_flag("--published", options->published,
                    "an adapter of memvp, lavin or llava under its authors' names, as published.safetensors");
  command->add_flag("--json", options->json, "one JSON object on one line");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
