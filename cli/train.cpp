// dehvf train and dehvf eval: a run from its YAML file.
#include <csignal>
#include <cstdio>

#include "cli/command.h"
#include "cli/progress.h"
#include "core/io/file.h"
#include "core/random.h"
#include "data/scorers/interval.h"
#include "data/scorers/scienceqa_score.h"
#include "train/run.h"
#include "train/session.h"

namespace dehvf::cli {
namespace {

volatile std::sig_atomic_t asked_to_stop = 0;

struct Shared {
  std::filesystem::path config;
  std::vector<std::string> overrides;
  bool json = false;

  void add_to(CLI::App* command) {
    command->add_option("--config", config, "YAML file; see configs/")->check(CLI::ExistingFile);
    command->add_option("overrides", overrides, "key=value, over what the file says");
    command->add_flag("--json", json, "one JSON object on one line, no progress");
  }
};

struct Train : Shared {
  std::string resume = "off";

  void run() const {
    Progress progress(json);
    Run run(read_run_config(config, overrides));
    const RunConfig& c = run.config();
    require<ConfigError>(!c.out.empty(), "config: 'out' is missing; wanted the folder of this run");
    for (const std::string& note : run.notes()) progress.note("note: " + note);
    initialise(run.model(), random_key({c.batches.seed, 10}));
    const SplitData data = run.load(c.train_split, Use::training);
    std::filesystem::create_directories(c.out);
    write_file(c.out / "config.yaml", c.resolved());
    AdapterTask task(run.model(), run.model(), data.examples, data.pictures.get(), c.batches);
    const double per_epoch = std::ceil(double(data.examples.size()) / double(c.batches.batch));
    const auto steps = int64_t(std::ceil(c.epochs * per_epoch));
    Trainer trainer(task, {.steps = steps,
                           .schedule = {c.rate, int64_t(c.warmup_epochs * per_epoch), steps},
                           .adamw = {.weight_decay = c.weight_decay},
                           .clip = c.clip});
    RunLog log(c.out);
    std::signal(SIGTERM, [](int) { asked_to_stop = 1; });
    std::signal(SIGINT, [](int) { asked_to_stop = 1; });
    progress.phase("train", steps);
    StepReport last;
    const bool finished = run_session(trainer, task, log,
                                      {.log_every = c.log_every,
                                       .checkpoint_every = c.checkpoint_every,
                                       .checkpoints = c.out / "checkpoints",
                                       .resume = resume == "auto",
                                       .seed = c.batches.seed,
                                       .config_hash = c.resolved()},
                                      {.stop = [] { return asked_to_stop != 0; },
                                       .after_step =
                                           [&](const StepReport& report) {
                                             last = report;
                                             progress.step(report.step, concat("loss ", report.loss));
                                           },
                                       .note = [&](const std::string& text) { progress.note(text); }});
    if (!finished) return progress.note("stopped; continue with --resume auto");
    const AdapterDescription description = run.description(steps);
    write_adapter_folder(c.out / "adapter", run.model(), description);
    verify_adapter_folder(c.out / "adapter", run.model(), description);
    if (json)
      std::printf("%s\n",
                  Json{{"steps", steps}, {"loss", last.loss}, {"adapter", (c.out / "adapter").string()}}
                      .dump()
                      .c_str());
    else
      progress.note(concat("adapter: ", (c.out / "adapter").string()));
  }
};

struct Eval : Shared {
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

template <class Options>
void add(CLI::App& program, Action& chosen, const char* name, const char* text,
         const std::function<void(CLI::App*, Options&)>& more) {
  auto options = std::make_shared<Options>();
  auto* command = program.add_subcommand(name, text);
  options->add_to(command);
  more(command, *options);
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace

void add_train(CLI::App& program, Action& chosen) {
  add<Train>(
      program, chosen, "train",
      "trains an adapter\nexample: dehvf train --config configs/toy.yaml out=runs/toy --resume auto",
      [](CLI::App* command, Train& options) {
        command->add_option("--resume", options.resume, "auto: behind the newest whole checkpoint of `out`")
            ->check(CLI::IsMember({"off", "auto"}));
      });
}

void add_eval(CLI::App& program, Action& chosen) {
  add<Eval>(
      program, chosen, "eval",
      "answers a split by the likelihood of the choices\nexample: dehvf eval --config runs/toy/config.yaml",
      [](CLI::App* command, Eval& options) {
        command->add_option("--adapter", options.adapter, "adapter folder; the run's own without it");
        command->add_option("--predictions", options.predictions, "file to write, for the official scorer");
      });
}

}  // namespace dehvf::cli
