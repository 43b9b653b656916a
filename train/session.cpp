#include "train/session.h"

#include <cmath>

#include "core/variants.h"

namespace dehvf {
namespace {

// What happened since the last line of the log.
struct Window {
  double loss = 0, seconds = 0;
  int64_t updates = 0, tokens = 0;

  void add(const StepReport& report) {
    seconds += report.seconds;
    tokens += report.tokens;
    if (!report.skipped.empty()) return;
    loss += report.loss;
    ++updates;
  }
};

class Session {
 public:
  Session(Trainer& trainer, Task& task, RunLog& log, const SessionOptions& options, const SessionHooks& hooks)
      : trainer_(trainer), task_(task), log_(log), options_(options), hooks_(hooks) {}

  bool run() {
    begin();
    const int64_t last = trainer_.options().steps;
    trainer_.run([&](const StepReport& report) {
      window_.add(report);
      if (!report.skipped.empty())
        note(concat("step ", report.step, " skipped: ", report.skipped, " was not finite"));
      if (hooks_.after_step) hooks_.after_step(report);
      const bool ends = report.step == last || (hooks_.stop && hooks_.stop());
      if (ends || report.step % options_.log_every == 0) write_line(report);
      if (ends || (options_.checkpoint_every > 0 && report.step % options_.checkpoint_every == 0)) save();
      return !ends;
    });
    return trainer_.steps_done() >= last;
  }

 private:
  void begin() {
    const auto& folder = options_.checkpoints;
    std::vector<std::string> notes;
    if (!folder.empty() && !options_.resume)
      require<ConfigError>(list_checkpoints(folder).empty(), folder.string(),
                           ": holds checkpoints of an earlier run; resume it or choose another folder");
    if (!folder.empty() && options_.resume) resume(notes);
    log_.begin(trainer_.steps_done());
    for (const std::string& text : notes) note(text);
  }

  void resume(std::vector<std::string>& notes) {
    const auto state = load_latest_checkpoint(options_.checkpoints, trainer_.parameters(), notes);
    if (!state) return;
    require<ConfigError>(state->config_hash == options_.config_hash && state->seed == options_.seed,
                         options_.checkpoints.string(), ": wanted checkpoints of configuration ",
                         options_.config_hash, " and seed ", options_.seed, ", found ", state->config_hash,
                         " and ", state->seed);
    task_.seek(state->cursor);
    trainer_.restore(state->counters);
    notes.push_back(concat("resumed behind step ", state->counters.steps));
  }

  void note(const std::string& text) {
    log_.note(trainer_.steps_done(), text);
    if (hooks_.note) hooks_.note(text);
  }

  void write_line(const StepReport& report) {
    Scalars scalars{{"loss", window_.updates ? window_.loss / double(window_.updates) : std::nan("")},
                    {"lr", report.learning_rate},
                    {"grad_norm", report.gradient_norm},
                    {"tokens_per_second", double(window_.tokens) / std::max(1e-9, window_.seconds)},
                    {"skipped_steps", double(trainer_.counters().skipped)}};
    Findings found;
    if (hooks_.look) found = hooks_.look(report.step);
    scalars.merge(found.scalars);
    log_.scalars(report.step, scalars);
    for (const std::string& text : found.notes) note(text);
    for (const std::string& text : take_kernel_notes()) note(text);
    window_ = {};
  }

  void save() {
    if (options_.checkpoints.empty()) return;
    save_checkpoint(options_.checkpoints, trainer_.parameters(),
                    {.counters = trainer_.counters(),
                     .cursor = task_.cursor(),
                     .seed = options_.seed,
                     .config_hash = options_.config_hash});
  }

  Trainer& trainer_;
  Task& task_;
  RunLog& log_;
  const SessionOptions& options_;
  const SessionHooks& hooks_;
  Window window_;
};

}  // namespace

bool run_session(Trainer& trainer, Task& task, RunLog& log, const SessionOptions& options,
                 const SessionHooks& hooks) {
  require<ConfigError>(options.log_every > 0 && options.checkpoint_every >= 0,
                       "training: log_every must be positive and checkpoint_every not negative");
  return Session(trainer, task, log, options, hooks).run();
}

}  // namespace dehvf
