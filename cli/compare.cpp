// dehvf compare: what the methods of the papers cost on one engine, side by side.
#include "bench/compare.h"

#include <charconv>
#include <cstdio>
#include <sstream>

#include "cli/assets.h"
#include "cli/command.h"
#include "cli/compare_page.h"
#include "cli/machine.h"
#include "core/backend.h"
#include "core/io/file.h"

namespace dehvf::cli {
namespace {

constexpr int64_t kMostTokens = 1 << 20;

struct Options {
  CompareOptions compare;
  std::string lengths, device = "none", machine = "h200", attention = "fused";
  bool recompute = false, json = false;
  std::filesystem::path out;
};

std::vector<std::filesystem::path> shipped_presets() {
  std::vector<std::filesystem::path> presets;
  for (const auto& entry : std::filesystem::directory_iterator(default_assets() / "configs" / "papers"))
    if (entry.path().extension() == ".yaml") presets.push_back(entry.path());
  std::ranges::sort(presets);
  return presets;
}

std::vector<int64_t> numbers_in(const std::string& text) {
  std::vector<int64_t> numbers;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    require<ConfigError>(
        error == std::errc() && end == part.data() + part.size() && number > 0 && number <= kMostTokens,
        "compare: --lengths: wanted tokens such as 32,64 (at most ", kMostTokens,
        ") or a file that is there, found '", printable(text, 80), "'");
    numbers.push_back(number);
  }
  return numbers;
}

void compare(const Options& options) {
  CompareOptions compare = options.compare;
  if (compare.presets.empty()) compare.presets = shipped_presets();
  if (std::filesystem::exists(options.lengths))
    compare.counts = read_length_counts(options.lengths);
  else if (!options.lengths.empty())
    compare.lengths = numbers_in(options.lengths);
  if (options.recompute) compare.mode = SegmentMode::recompute;
  if (options.attention == "eager") compare.attention = AttentionForm::eager;
  if (options.device != "none") compare.device = chosen_device(options.device);
  compare.rates = machine_named(options.machine);
  compare.machine = options.machine;
  const Json result =
      compare_methods(compare, [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); });
  const std::string table = compare_markdown(result);
  if (!options.out.empty()) {
    std::filesystem::create_directories(options.out);
    write_json(options.out / "compare.json", result);
    write_file(options.out / "compare.csv", compare_csv(result));
    write_file(options.out / "compare.md", table);
    write_file(options.out / "compare.html", compare_page(result, draw_plots(options.out / "compare.json")));
  }
  std::printf("%s", options.json ? (result.dump() + "\n").c_str() : table.c_str());
}

}  // namespace

void add_compare(CLI::App& program, Action& chosen) {
  auto* command = program.add_subcommand(
      "compare",
      "what the methods of the papers cost on one engine: time, FLOPs, memory; needs no weights\n"
      "example: dehvf compare --shape 7b --out runs/compare\n"
      "example: dehvf compare configs/papers/dehvf-7b.yaml configs/papers/llava-lora-7b.yaml --device "
      "cuda:0");
  auto options = std::make_shared<Options>();
  CompareOptions& compare_options = options->compare;
  command
      ->add_option("presets", compare_options.presets, "run configs; all of configs/papers if none is given")
      ->check(CLI::ExistingFile);
  command->add_option("--shape", compare_options.shape,
                      "7b, 13b or toy for all; the models that each preset names if not given");
  command->add_option("--layers", compare_options.layers, "only so many of the language model's blocks")
      ->check(CLI::PositiveNumber);
  command->add_option("--lengths", options->lengths,
                      "tokens of a text, separated by commas, 32 to 1024 if not given; or a file of `dehvf "
                      "inspect DATA --lengths-out FILE`, for what to expect of that data");
  command->add_option("--samples", compare_options.samples, "texts of a step, each with a picture")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--supervised", compare_options.supervised, "labelled tokens of a text")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--device", options->device, "measure there: auto, cpu, cuda:N; none predicts only")
      ->capture_default_str();
  command->add_option("--rounds", compare_options.rounds, "of measured steps, methods in turns")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--machine", options->machine, kMachineHelp)->capture_default_str();
  command
      ->add_option(
          "--attention", options->attention,
          "fused: no score is ever in memory; eager: all are and stay for the backward pass, as in the "
          "published runs; in training, and in the tower")
      ->check(CLI::IsMember({"fused", "eager"}))
      ->capture_default_str();
  command->add_flag("--recompute", options->recompute, "blocks are run again for the backward pass");
  command->add_option("--out", options->out, "folder for compare.html with plots, .json, .csv and .md");
  command->add_flag("--json", options->json, "one JSON object on one line");
  command->callback([&chosen, options] { chosen = [options] { compare(*options); }; });
}

}  // namespace dehvf::cli
