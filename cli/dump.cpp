// dehvf dump: every intermediate of one pass in a file, for comparisons with other implementations.
#include <cstdio>

#include "cli/command.h"
#include "cli/model_options.h"
#include "train/dump_input.h"

namespace dehvf::cli {
namespace {

struct DumpCommand {
  ModelOptions model;
  std::filesystem::path tokens, out;
  std::vector<std::filesystem::path> images;
  std::string dtype = "f32";
  bool gradients = false, json = false;

  void run() const {
    const DType type = dtype_named(dtype);
    require<ConfigError>(!gradients || type == DType::f32 || type == DType::f64,
                         "--grad: gradients are formed in f32 and f64, not in ", dtype);
    require<ConfigError>(images.empty() || !model.files.tower.empty(),
                         "--images: no --tower to show them to");
    const OpenedModel opened = model.open(type);
    const DumpInput input = read_dump_input(tokens, images, opened.recipe);
    const NamedTensors tensors = dump(*opened.model, input, gradients);
    write_safetensors(
        out, tensors,
        {{"format", "dehvf.dump.1"}, {"fusion", opened.model->options().fusion}, {"dtype", dtype}});
    report(tensors);
  }

  void report(const NamedTensors& tensors) const {
    Json result{{"out", out.string()}, {"tensors", tensors.size()}, {"loss", nullptr}};
    for (const auto& [name, tensor] : tensors)
      if (name == "loss") result["loss"] = item(tensor);
    if (json)
      std::printf("%s\n", result.dump().c_str());
    else
      std::printf("%s: %zu tensors, loss %s\n", out.c_str(), tensors.size(), result["loss"].dump().c_str());
  }
};

}  // namespace

void add_dump(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<DumpCommand>();
  auto* command = program.add_subcommand(
      "dump",
      "writes every hidden state, level, logit, loss and gradient of given tokens (docs/formats.md)\n"
      "example: dehvf dump --model llama --tower clip --adapter run/adapter --tokens tokens.json "
      "--images cat.png --grad --out dump.safetensors");
  options->model.add_to(*command);
  command
      ->add_option("--tokens", options->tokens,
                   R"(JSON: {"samples": [{"tokens": [1, 2], "labels": [-100, 2], "image": 0}]})")
      ->required();
  command->add_option("--images", options->images,
                      "PNG or JPEG files, or one safetensors file with pixels [images, 3, side, side]");
  command->add_option("--out", options->out, "safetensors file to write")->required();
  command->add_flag("--grad", options->gradients, "also gradients of the adapter and the input embeddings");
  command->add_option("--dtype", options->dtype, "what everything is computed in")
      ->check(CLI::IsMember({"f32", "f64", "bf16"}))
      ->capture_default_str();
  command->add_flag("--json", options->json, "one JSON object on one line");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
