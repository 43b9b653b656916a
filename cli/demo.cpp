// dehvf demo: freeze a small LLaMA and a small tower, teach adapters to see, and show that pictures were
// used.
#include <chrono>
#include <cstdio>

#include "cli/assets.h"
#include "cli/base_models.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/worlds.h"
#include "train/comparison.h"

namespace dehvf::cli {
namespace {

std::map<std::string, std::string> fusion(std::map<std::string, std::string> changes = {}) {
  std::map<std::string, std::string> options{
      {"slots", "20"}, {"rank", "32"}, {"lambda", "1"}, {"scale", "0.1"}, {"dropout", "0"}};
  options.merge(changes);
  return options;
}

std::map<std::string, std::string> dehvf_options(std::map<std::string, std::string> changes = {}) {
  auto options = fusion(std::move(changes));
  options.merge(std::map<std::string, std::string>{
      {"embedding", "16"}, {"hidden", "32"}, {"width", "32"}, {"heads", "4"}, {"blocks", "2"}});
  return options;
}

// Peak learning rates: the best on the validation split (scripts/demo_rates, docs/demo.md). Rows that are not
// tried there take DEHVF's.
double rate_of(const std::string& row, const std::string& kind) {
  const bool scenes = kind == "scenes";
  if (row == "last_level") return scenes ? 8e-3 : 1.6e-2;
  if (row == "k1") return scenes ? 1.6e-2 : 4e-3;
  return scenes ? 8e-3 : 4e-3;
}

std::vector<RowSpec> rows(bool fast, bool full) {
  const RowSpec text{.name = "text_only", .title = "text only, no adapter", .fusion = "none"};
  const RowSpec dehvf{.name = "dehvf",
                      .title = "DEHVF, K = 4 aligned",
                      .options = dehvf_options(),
                      .controls = {{"dehvf_zeroed", Show::blank}, {"dehvf_shuffled", Show::shuffled}}};
  const RowSpec last{.name = "last_level",
                     .title = "last level only (MemVP-like)",
                     .fusion = "memvp",
                     .options = fusion({{"level", "8"}})};
  if (fast) return {text, dehvf};
  std::vector<RowSpec> result{text,
                              dehvf,
                              last,
                              {.name = "k1",
                               .title = "K = 1: every layer mixes all levels",
                               .options = dehvf_options({{"groups", "1"}})}};
  if (!full) return result;
  result.push_back({.name = "reversed",
                    .title = "K = 4 reversed mapping",
                    .options = dehvf_options({{"mapping", "reversed"}})});
  result.push_back({.name = "static_mean",
                    .title = "K = 4, mean of the group's levels",
                    .options = fusion({{"weights", "mean"}})});
  result.push_back({.name = "tower_adapters",
                    .title = "DEHVF with tower adapters",
                    .options = dehvf_options(),
                    .tower_adapters = true});
  return result;
}

struct Demo {
  std::filesystem::path out = "runs/demo", assets = default_assets();
  bool fast = false, full = false, json = false;
  int64_t steps = 0;
  double rate = 0;
  std::string split = "test", device = "auto";

  void run() const {
    const auto begin = std::chrono::steady_clock::now();
    Progress progress(json);
    const Device place = chosen_device(device);
    std::filesystem::remove_all(out);
    std::filesystem::create_directories(out);
    const std::vector<std::string> kinds =
        fast ? std::vector<std::string>{"scenes"} : std::vector<std::string>{"scenes", "pictures"};
    const BaseModels base =
        full ? pretrain_base(out / "base", assets, place, progress) : shipped_base(assets);
    Json results{{"version", 1},
                 {"mode", full   ? "full"
                          : fast ? "fast"
                                 : "default"},
                 {"split", split},
                 {"rows", Json::array()}};
    for (const std::string& kind : kinds) {
      const auto folder = out / "data" / kind;
      std::filesystem::create_directories(folder);
      // Fewer training problems are learned by heart; more test problems leave narrower intervals.
      write_scene_data(open_world(kind, assets), {.train = 12288, .test = 3072}, folder);
      ComparisonOptions options{.device = place, .split = split};
      if (steps > 0) options.steps = steps;
      Comparison comparison(base.llama, base.tower, folder, options);
      for (uint64_t seed = 0; seed < (full ? 2u : 1u); ++seed)
        for (RowSpec spec : rows(fast, full)) {
          spec.rate = rate > 0 ? rate : rate_of(spec.name, kind);
          run_row(comparison, spec, kind, seed, options, progress, results);
        }
    }
    results["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    write_json(out / "results.json", results);
    finish(results, progress);
  }

  void run_row(Comparison& comparison, const RowSpec& spec, const std::string& kind, uint64_t seed,
               const ComparisonOptions& options, Progress& progress, Json& results) const {
    progress.phase(concat(kind, ": ", spec.name), options.steps);
    for (Json& row : comparison.run(spec, seed, [&](const RowSpec&, const StepReport& report) {
           progress.step(report.step, concat("loss ", std::round(report.loss * 1000) / 1000));
         })) {
      row["data"] = kind;
      if (row.contains("examples"))
        for (Json& example : row["examples"])  // so that a run's folder can be moved
          example["image"] =
              std::filesystem::path(example["image"].get<std::string>()).lexically_relative(out).string();
      char line[160];
      std::snprintf(line, sizeof line, "%-9s %-16s image %.3f [%.3f, %.3f]  text %.3f  all %.3f  %.1f s",
                    kind.c_str(), row["name"].get<std::string>().c_str(), row["accuracy_image"].get<double>(),
                    row["low95"].get<double>(), row["high95"].get<double>(),
                    row["accuracy_text"].get<double>(), row["accuracy_all"].get<double>(),
                    row["seconds"].get<double>());
      progress.note(concat(line, "  ", row["by_topic"].dump()));
      results["rows"].push_back(std::move(row));
    }
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
  command->add_flag("--full", options->full, "everything from random weights, all rows, two seeds")
      ->excludes(fast);
  command->add_option("--out", options->out, "folder of this run; an old one is replaced")
      ->capture_default_str();
  command->add_option("--assets", options->assets, "folder that holds data/pictures and examples/toy");
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
