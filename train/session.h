// A training run as a user starts it: resumed where it stood, logged, checkpointed, and stopped cleanly when
// asked to.
#pragma once

#include "train/checkpoint.h"
#include "train/run_log.h"

namespace dehvf {

struct SessionOptions {
  int64_t log_every = 10;             // steps
  int64_t checkpoint_every = 0;       // steps; 0: only at the end and when stopped
  std::filesystem::path checkpoints;  // folder; empty: none are written
  bool resume = false;                // behind the newest whole checkpoint, if there is any
  uint64_t seed = 0;                  // this and the next are kept with a checkpoint and must not change
  std::string config_hash;
};

/// Beside what the trainer reports: scalars for the log, and notes for log and user.
struct Findings {
  Scalars scalars;
  std::vector<std::string> notes;
};

struct SessionHooks {
  std::function<bool()> stop;                         // polled after every step; true ends the session
  std::function<void(const StepReport&)> after_step;  // for a progress line
  std::function<void(const std::string&)> note;       // one line: resumed, damaged checkpoint, skipped step
  std::function<Findings(int64_t step)> look;         // called when a line is logged
};

/// Trains until the trainer's last step, or until stop() says true; writes a checkpoint in either case and
/// returns whether the last step was reached. Logged losses are means over the steps since the line before.
/// Throws ConfigError when the folder holds checkpoints but resume is off, or when they are of another model,
/// configuration or seed.
bool run_session(Trainer& trainer, Task& task, RunLog& log, const SessionOptions& options,
                 const SessionHooks& hooks = {});

}  // namespace dehvf
