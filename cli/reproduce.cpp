// dehvf reproduce: the tables and claims of the paper, each beside what can be had here.
#include <cstdio>

#include "cli/assets.h"
#include "cli/command.h"
#include "cli/machine.h"
#include "cli/published.h"
#include "cli/reproduce_page.h"
#include "cli/toy_rows.h"
#include "core/error.h"
#include "core/io/file.h"

namespace dehvf::cli {
namespace {

struct Options {
  std::string table, machine = "h200", device = "auto";
  std::filesystem::path out, toy;
  int64_t steps = 0;
  bool json = false;
};

void list(bool json) {
  Json all = Json::array();
  for (const Json& table : published_tables(default_assets())) {
    all.push_back({{"table", table["name"]}, {"title", table["title"]}, {"claim", table["claim"]}});
    if (!json)
      std::printf("%-10s %s\n", table["name"].get<std::string>().c_str(),
                  table["claim"].get<std::string>().c_str());
  }
  if (json) std::printf("%s\n", all.dump().c_str());
}

// Results of the toy for this table: read, or trained now. Null where it does without.
Json toy_of(const Json& table, const Options& options, const std::filesystem::path& out) {
  const auto rows = toy_rows_for(table);
  if (!rows) return nullptr;
  if (!options.toy.empty()) return read_json(options.toy);
  Progress progress(options.json);
  progress.note("the published models are not here: the toy stands in, between its own frozen models");
  return run_toy({.out = out / "toy",
                  .assets = default_assets(),
                  .mode = concat("reproduce ", options.table),
                  .rows = *rows,
                  .seeds = 2,
                  .steps = options.steps,
                  .device = options.device},
                 progress);
}

void reproduce(const Options& options) {
  if (options.table.empty()) return list(options.json);
  const Json table = published_table(default_assets(), options.table);
  const ReproduceOptions with{
      .assets = default_assets(), .rates = machine_named(options.machine), .machine = options.machine};
  const auto out =
      options.out.empty() ? std::filesystem::path("runs") / "reproduce" / options.table : options.out;
  std::filesystem::create_directories(out);
  const Json toy = toy_of(table, options, out);
  const Reproduction result = reproduce_table(table, toy, with);
  const Json json = reproduction_json(result);
  const std::string markdown = reproduction_markdown(result);
  const auto toy_file = options.toy.empty() ? out / "toy" / "results.json" : options.toy;
  const Plots plots = toy.is_null() ? Plots{} : draw_plots(toy_file);
  write_json(out / "reproduce.json", json);
  write_file(out / "reproduce.md", markdown);
  write_file(out / "reproduce.html", reproduction_page(result, plots));
  std::printf("%s", options.json ? (json.dump() + "\n").c_str() : markdown.c_str());
}

}  // namespace

void add_reproduce(CLI::App& program, Action& chosen) {
  auto* command = program.add_subcommand(
      "reproduce",
      "a table or claim of the paper: published, here, what differs, what it takes; lists them without one\n"
      "example: dehvf reproduce flops");
  auto options = std::make_shared<Options>();
  command->add_option("table", options->table, "one of those that are listed");
  command
      ->add_option("--toy", options->toy,
                   "results.json of an earlier run of the toy, which is trained without it")
      ->check(CLI::ExistingFile);
  command->add_option("--steps", options->steps, "training steps of the toy's adapters; 0 for the demo's")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--machine", options->machine, kMachineHelp)->capture_default_str();
  command->add_option("--device", options->device, "of the toy: auto, cpu, cuda:N")->capture_default_str();
  command->add_option("--out", options->out,
                      "folder for reproduce.html, .md, .json; runs/reproduce/TABLE if not given");
  command->add_flag("--json", options->json, "one JSON object on one line");
  command->callback([&chosen, options] { chosen = [options] { reproduce(*options); }; });
}

}  // namespace dehvf::cli
