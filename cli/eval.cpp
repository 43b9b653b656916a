// dehvf eval: answers of a run's adapter to a split, and their score.
#include <cstdio>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/run_options.h"
#include "core/io/file.h"
#include "data/scorers/interval.h"
#include "train/run.h"

namespace dehvf::cli {
namespace {

struct Eval : RunOptions {
  std::filesystem::path adapter, predictions;

  void run() const {
    Progress progress(json);
    Run run(read_run_config(config, overrides));
    const auto folder = adapter.empty() ? run.config().out / "adapter" : adapter;
    if (run.config().fusion != "none") {
      run.check(read_adapter_config(folder));
      load_adapter(folder, run.model(), false);
    }
    const std::string& split = run.config().eval_split;
    const SplitData data = run.load(split, Use::evaluation);
    std::map<std::string, int> chosen;
    int64_t right = 0;
    progress.phase("eval", int64_t(data.questions.size()));
    constexpr size_t kAtOnce = 64;
    for (size_t begin = 0; begin < data.questions.size(); begin += kAtOnce) {
      const auto part =
          std::span(data.questions).subspan(begin, std::min(kAtOnce, data.questions.size() - begin));
      const auto ranked =
          rank_choices(run.model(), part, data.pictures.get(), [&](size_t i) { return part[i].image; });
      for (size_t i = 0; i < ranked.size(); ++i) {
        chosen[data.problems[begin + i].id] = ranked[i].chosen;
        right += ranked[i].chosen == part[i].answer;
      }
      progress.step(int64_t(begin + part.size()), "");
    }
    const auto of = int64_t(data.questions.size());
    const Interval interval = wilson_95(right, of);
    Json results = Json::object();
    for (const auto& [id, choice] : chosen) results[id] = choice;
    if (!predictions.empty()) write_json(predictions, Json{{"results", results}});
    if (json)
      std::printf("%s\n", Json{{"split", split},
                               {"right", right},
                               {"of", of},
                               {"low95", interval.low},
                               {"high95", interval.high}}
                              .dump()
                              .c_str());
    else
      std::printf("%s: %lld of %lld right, %.2f%% [%.2f, %.2f]\n", split.c_str(),
                  static_cast<long long>(right), static_cast<long long>(of),
                  of ? 100.0 * double(right) / double(of) : 0, 100 * interval.low, 100 * interval.high);
  }
};

}  // namespace

void add_eval(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<Eval>();
  auto* command = program.add_subcommand(
      "eval",
      "answers a split by the likelihood of the choices\nexample: dehvf eval --config runs/toy/config.yaml");
  options->add_to(command);
  command->add_option("--adapter", options->adapter, "adapter folder; the run's own without it");
  command->add_option("--predictions", options->predictions, "file to write, for the official scorer");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
