#include "cli/toy_rows.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "cli/base_models.h"
#include "cli/published.h"
#include "cli/worlds.h"
#include "core/backend.h"
#include "train/comparison.h"
#include "train/run_config.h"

namespace dehvf::cli {
namespace {

// Peak learning rates: the best on the validation split (scripts/demo_rates, docs/demo.md). Rows that are not
// tried there take DEHVF's.
double rate_of(const std::string& row, const std::string& kind) {
  const bool scenes = kind == "scenes";
  if (row == "last_level") return scenes ? 8e-3 : 1.6e-2;
  if (row == "k1") return scenes ? 1.6e-2 : 4e-3;
  return scenes ? 8e-3 : 4e-3;
}

RowSpec spec_of(const ToyRow& row, const std::filesystem::path& assets) {
  const auto toy = assets / "configs" / "toy.yaml";
  const RunConfig config =
      row.preset.empty() ? read_run_config(toy, {}) : read_run_config(row.preset, {}, toy);
  RowSpec spec{.name = row.name,
               .title = row.title,
               .group = row.group,
               .fusion = config.fusion,
               .options = config.fusion_options,
               .tower_adapters = config.tower_adapters,
               .adapters = config.adapters};
  if (row.name == "dehvf")
    spec.controls = {{"dehvf_zeroed", Show::blank}, {"dehvf_shuffled", Show::shuffled}};
  return spec;
}

std::vector<RowSpec> rows_of(const ToyOptions& options) {
  std::vector<RowSpec> specs{{.name = "text_only", .title = "text only, no adapter", .fusion = "none"}};
  for (const ToyRow& row : toy_ablations(options.assets)) specs.push_back(spec_of(row, options.assets));
  if (!options.rows.empty())
    std::erase_if(specs, [&](const RowSpec& spec) {
      return std::ranges::find(options.rows, spec.name) == options.rows.end();
    });
  return specs;
}

void add_row(Comparison& comparison, const RowSpec& spec, const std::string& kind, uint64_t seed,
             int64_t steps, const std::filesystem::path& out, Progress& progress, Json& results) {
  progress.phase(concat(kind, ": ", spec.name), steps);
  for (Json& row : comparison.run(spec, seed, [&](const RowSpec&, const StepReport& report) {
         progress.step(report.step, concat("loss ", std::round(report.loss * 1000) / 1000));
       })) {
    row["data"] = kind;
    if (row.contains("examples"))
      for (Json& example : row["examples"])  // so that a run's folder can be moved
        example["image"] =
            std::filesystem::path(example["image"].get<std::string>()).lexically_relative(out).string();
    char line[160];
    std::snprintf(line, sizeof line, "%-9s %-17s image %.3f [%.3f, %.3f]  text %.3f  all %.3f  %.1f s",
                  kind.c_str(), row["name"].get<std::string>().c_str(), row["accuracy_image"].get<double>(),
                  row["low95"].get<double>(), row["high95"].get<double>(), row["accuracy_text"].get<double>(),
                  row["accuracy_all"].get<double>(), row["seconds"].get<double>());
    progress.note(concat(line, "  ", row["by_topic"].dump()));
    results["rows"].push_back(std::move(row));
  }
}

}  // namespace

Json run_toy(const ToyOptions& options, Progress& progress) {
  const auto begin = std::chrono::steady_clock::now();
  const Device device = chosen_device(options.device);
  const std::vector<RowSpec> specs = rows_of(options);  // refuses before anything is removed
  std::filesystem::remove_all(options.out);
  std::filesystem::create_directories(options.out);
  const BaseModels base = options.pretrain
                              ? pretrain_base(options.out / "base", options.assets, device, progress)
                              : shipped_base(options.assets);
  Json results{{"version", 1}, {"mode", options.mode}, {"split", options.split}, {"rows", Json::array()}};
  for (const std::string& kind : options.kinds) {
    const auto folder = options.out / "data" / kind;
    std::filesystem::create_directories(folder);
    // Fewer training problems are learned by heart; more test problems leave narrower intervals.
    write_scene_data(open_world(kind, options.assets), {.train = 12288, .test = 3072}, folder);
    ComparisonOptions comparing{.device = device, .split = options.split};
    if (options.steps > 0) comparing.steps = options.steps;
    Comparison comparison(base.llama, base.tower, folder, comparing);
    for (int seed = 0; seed < options.seeds; ++seed)
      for (RowSpec spec : specs) {
        spec.rate = options.rate > 0 ? options.rate : rate_of(spec.name, kind);
        add_row(comparison, spec, kind, uint64_t(seed), comparing.steps, options.out, progress, results);
        results["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        write_json(options.out / "results.json", results);  // what is there stays if the rest is stopped
      }
  }
  return results;
}

}  // namespace dehvf::cli
