// dehvf demo: freeze a small LLaMA and a small tower, teach adapters to see, and show that pictures were
// used.
#include <cstdio>

#include "cli/assets.h"
#include "cli/command.h"
#include "cli/report.h"
#include "cli/toy_rows.h"
#include "core/error.h"
#include "core/io/file.h"

namespace dehvf::cli {
namespace {

struct Demo {
  std::filesystem::path out = "runs/demo", assets = default_assets();
  bool fast = false, full = false, json = false;
  int64_t steps = 0;
  double rate = 0;
  std::string split = "test", device = "auto";

  void run() const {
    Progress progress(json);
    ToyOptions toy{.out = out,
                   .assets = assets,
                   .mode = full   ? "full"
                           : fast ? "fast"
                                  : "default",
                   .seeds = full ? 2 : 1,
                   .pretrain = full,
                   .steps = steps,
                   .rate = rate,
                   .split = split,
                   .device = device};
    if (fast) toy.kinds = {"scenes"};
    if (!full) toy.rows = {"text_only", "dehvf"};
    if (!full && !fast) toy.rows.insert(toy.rows.end(), {"last_level", "k1"});
    finish(run_toy(toy, progress), progress);
  }

  void finish(const Json& results, Progress& progress) const {
    const std::string missing = write_report(out, out / "report.html");
    if (!json) {
      progress.note(concat("results: ", (out / "results.json").string()));
      progress.note(
          concat("report:  ", (out / "report.html").string(), missing.empty() ? "" : "  ", missing));
      return;
    }
    Json summary{{"rows", Json::array()}, {"seconds", results["seconds"]}};
    for (const Json& row : results["rows"]) {
      Json kept = Json::object();
      for (const char* key : {"name", "data", "seed", "accuracy_image", "accuracy_text", "accuracy_all",
                              "low95", "high95", "seconds"})
        kept[key] = row[key];
      summary["rows"].push_back(kept);
    }
    std::printf("%s\n", summary.dump().c_str());
  }
};

}  // namespace

void add_demo(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<Demo>();
  auto* command = program.add_subcommand("demo",
                                         "trains adapters between a frozen toy LLaMA and a frozen toy tower, "
                                         "with controls\nexample: dehvf demo --fast");
  auto* fast =
      command->add_flag("--fast", options->fast, "DEHVF and its controls on scenes only, below a minute");
  command
      ->add_flag("--full", options->full,
                 "everything from random weights, all rows of the ablations, two seeds")
      ->excludes(fast);
  command->add_option("--out", options->out, "folder of this run; an old one is replaced")
      ->capture_default_str();
  command->add_option("--assets", options->assets,
                      "folder that holds configs, data/pictures and examples/toy");
  command->add_option("--steps", options->steps, "training steps of every adapter; 0 for the mode's own")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--rate", options->rate, "peak learning rate of every adapter; 0 for each row's own")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--split", options->split,
                   "problems that rows are judged on: test, or val to choose rates")
      ->check(CLI::IsMember({"test", "val"}))
      ->capture_default_str();
  command->add_option("--device", options->device, "auto, cpu, cuda:N or emulator")->capture_default_str();
  command->add_flag("--json", options->json, "ends with one JSON object on one line, no progress");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
