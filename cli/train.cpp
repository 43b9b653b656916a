// dehvf train: a run from its YAML file.
#include <csignal>
#include <cstdio>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/run_options.h"
#include "cli/tape_picture.h"
#include "core/io/file.h"
#include "core/random.h"
#include "train/insight.h"
#include "train/memory_report.h"
#include "train/run.h"
#include "train/session.h"

namespace dehvf::cli {
namespace {

volatile std::sig_atomic_t asked_to_stop = 0;

// Draws the first micro-batch with a picture, or the very first where the operator looks at none.
class GraphFile {
 public:
  GraphFile(std::filesystem::path path, bool sees) : path_(std::move(path)), sees_(sees) {
    if (!path_.empty()) watch_.emplace();
  }
  void after_step(const std::string& fusion) {
    if (!watch_) return;
    const bool saw =
        std::ranges::any_of(watch_->ops(), [](const TapeWatch::Op& op) { return op.phase == "encode"; });
    if (saw || !sees_) {
      write_file(path_, tape_picture(*watch_, fusion + ": one micro-batch"));
      watch_.reset();
    } else {
      watch_.emplace();
    }
  }

 private:
  std::filesystem::path path_;
  bool sees_;
  std::optional<TapeWatch> watch_;
};

// What was forecast of a run beside what was measured of its steps, of which there is one.
Json forecast_beside(const MemoryLedger::Table& forecast, const MemoryLedger::Table& measured,
                     std::vector<double> seconds) {
  const auto side = [](const MemoryLedger::Table& table) {
    Json json = by_purpose(table);
    json["peak_bytes"] = sum_of(table);
    return json;
  };
  std::ranges::sort(seconds);
  return {{"memory",
           {{"forecast", side(forecast)},
            {"measured", side(measured)},
            {"more_percent", percent_more(double(sum_of(measured)), double(sum_of(forecast)))}}},
          {"steps", seconds.size()},
          {"step_s", seconds[seconds.size() / 2]}};
}

std::string said_of(const Json& found) {
  char text[160];
  const Json& memory = found["memory"];
  std::snprintf(text, sizeof text,
                "memory: %.1f MB held at the peak, %.1f MB forecast (%+.1f %%); median step %.3f s",
                1e-6 * memory["measured"]["peak_bytes"].get<double>(),
                1e-6 * memory["forecast"]["peak_bytes"].get<double>(), memory["more_percent"].get<double>(),
                found["step_s"].get<double>());
  return text;
}

struct Train : RunOptions {
  std::string resume = "off";
  std::filesystem::path graph;

  void run() const {
    Progress progress(json);
    Run run(read(), Use::training);
    const RunConfig& c = run.config();
    require<ConfigError>(!c.out.empty(), "config: 'out' is missing; wanted the folder of this run");
    for (const std::string& note : run.notes()) progress.note("note: " + note);
    run.begin(random_key({c.batches.seed, 10}));
    run.model().move_to(run.device());
    const SplitData data = run.load(c.train_split, Use::training);
    if (data.pictures && !data.pictures->cached() && !run.model().adapters())
      progress.note(
          "note: the levels of all pictures are too large to be kept; they are computed every step");
    std::filesystem::create_directories(c.out);
    write_file(c.out / "config.yaml", c.resolved());
    AdapterTask task(run.model(), run.model(), data.examples, data.pictures.get(), c.batches);
    const double per_epoch = std::ceil(double(data.examples.size()) / double(c.batches.batch));
    const int64_t steps = run.steps(data.examples.size());
    Trainer trainer(task, {.steps = steps,
                           .schedule = {c.rate, int64_t(c.warmup_epochs * per_epoch), steps},
                           .adamw = {.weight_decay = c.weight_decay},
                           .clip = c.clip,
                           .working = c.dtype,
                           .graphs = c.graphs,
                           .find_nan = c.find_nan});
    InsightWatch watch(run.model(), data.pictures.get(), data.examples);
    RunLog log(c.out);
    std::signal(SIGTERM, [](int) { asked_to_stop = 1; });
    std::signal(SIGINT, [](int) { asked_to_stop = 1; });
    MemoryLedger& memory = backend(run.device()).memory();
    memory.forget_peak();
    std::vector<double> seconds;
    progress.phase("train", steps);
    StepReport last;
    GraphFile graph_file(graph, !run.model().fusion().tower().levels.empty());
    const bool finished = run_session(trainer, task, log,
                                      {.log_every = c.log_every,
                                       .checkpoint_every = c.checkpoint_every,
                                       .checkpoints = c.out / "checkpoints",
                                       .resume = resume == "auto",
                                       .seed = c.batches.seed,
                                       .config_hash = c.identity()},
                                      {.stop = [] { return asked_to_stop != 0; },
                                       .after_step =
                                           [&](const StepReport& report) {
                                             last = report;
                                             seconds.push_back(report.seconds);
                                             graph_file.after_step(c.fusion);
                                             progress.step(report.step, concat("loss ", report.loss));
                                           },
                                       .note = [&](const std::string& text) { progress.note(text); },
                                       .look = [&](int64_t step) { return watch.look(step); }});
    Json found;
    if (!seconds.empty()) {
      found = forecast_beside(run.forecast().memory, memory.at_peak(), seconds);
      write_json(c.out / "forecast.json", found);
      progress.note(said_of(found));
    }
    tell_memory(run.device(), progress);
    if (!finished) return progress.note("stopped; continue with --resume auto");
    trainer.parameters().show_values();
    const AdapterDescription description = run.description(steps);
    write_adapter_folder(c.out / "adapter", run.model(), description,
                         {.datasets = {(c.data / "").parent_path().filename().string()}});
    verify_adapter_folder(c.out / "adapter", run.model(), description);
    if (json)
      std::printf("%s\n", Json{{"steps", steps},
                               {"loss", last.loss},
                               {"adapter", (c.out / "adapter").string()},
                               {"forecast", found}}
                              .dump()
                              .c_str());
    else
      progress.note(concat("adapter: ", (c.out / "adapter").string()));
  }
};

}  // namespace

void add_train(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<Train>();
  auto* command = program.add_subcommand(
      "train",
      "trains an adapter\nexample: dehvf train --config configs/toy.yaml out=runs/toy --resume auto");
  options->add_to(command);
  command->add_option("--resume", options->resume, "auto: behind the newest whole checkpoint of `out`")
      ->check(CLI::IsMember({"off", "auto"}));
  command->add_option("--graph", options->graph,
                      "SVG file: the graph of the first micro-batch that has a picture");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
