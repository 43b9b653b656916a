// The training loop: micro-batches, clipping, AdamW, schedule, what is trained is a Task. Checkpoints and
// logs are train/session.h's.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "train/flat_parameters.h"
#include "train/schedule.h"
#include "train/step_graphs.h"

namespace dehvf {

/// What one optimizer step works on. Cursors are opaque text that seek() understands again.
class Task {
 public:
  virtual ~Task() = default;
  virtual Module& trained() = 0;
  /// Fetches the next step's data; returns the number of its micro-batches.
  virtual int prepare(uint64_t step) = 0;
  /// What the losses of the prepared step are multiplied by, so that they and their gradients add up to those
  /// of its mean: 1 / labelled tokens. 1 for a task that takes means itself.
  virtual double loss_scale() const { return 1; }
  /// Everything on the host that tells the prepared step's micro-batch from others: tensors, some of which
  /// may be empty. Where their shapes are equal the work of loss() is equal, and may be recorded once and
  /// replayed. None at all: it may not.
  virtual std::vector<Tensor> inputs(int) { return {}; }
  /// Whether equal shapes mean equal work at all.
  virtual bool replays() const { return true; }
  /// The loss of one micro-batch, multiplied by the state's loss scale. `inputs` are those of inputs() on the
  /// parameters' device, and `state` is a StepState there, filled in for this step.
  virtual Variable loss(int micro_batch, std::span<const Tensor> inputs, const Tensor& state) = 0;
  virtual int64_t tokens() const = 0;      // of the step that was prepared last
  virtual std::string cursor() const = 0;  // where the next prepare() will read
  virtual void seek(const std::string& cursor) = 0;
};

struct TrainerOptions {
  int64_t steps = 1000;
  Schedule schedule;
  AdamWOptions adamw;
  double clip = 1;             // largest global norm of the gradient; 0 for none
  DType working = DType::f32;  // of the copy that the parameters show, bf16 or f16 beside such weights
  bool graphs = true;          // replay recorded micro-batches where the device can; no result depends on it
  bool find_nan = false;       // stop at the kernel that made the first value that is not finite (NanWatch)
  int max_skips = 10;          // updates skipped in a row that are borne; one more stops the run
};

struct StepReport {
  int64_t step = 0;  // 1 for the first
  double loss = 0, learning_rate = 0, gradient_norm = 0, seconds = 0;
  int64_t tokens = 0;
  std::string skipped;  // the first parameter whose gradient was not finite; empty when the update was made
};

class Trainer {
 public:
  struct Counters {
    int64_t steps = 0;    // done, skipped ones among them
    int64_t updates = 0;  // made: the t of AdamW's bias corrections
    int64_t skipped = 0, skipped_in_a_row = 0;
    friend bool operator==(const Counters&, const Counters&) = default;
  };

  Trainer(Task& task, const TrainerOptions& options);

  const FlatParameters& parameters() const { return parameters_; }
  int64_t steps_done() const { return counters_.steps; }
  const TrainerOptions& options() const { return options_; }
  Counters counters() const { return counters_; }
  /// Goes on behind a checkpoint, whose values the parameters' buffers hold already.
  void restore(const Counters& counters) {
    counters_ = counters;
    parameters_.refresh_working();
  }
  /// As TrainerOptions::graphs, from the next step on.
  void use_graphs(bool wanted);
  /// One optimizer step. Throws Error when too many updates in a row had to be skipped.
  StepReport step();
  /// Steps until the end, or until `after(report)` returns false.
  void run(const std::function<bool(const StepReport&)>& after);

 private:
  void accumulate(int micro_batch);
  StepReport count(const StepState& state);

  Task& task_;
  TrainerOptions options_;
  FlatParameters parameters_;
  Tensor state_;
  std::optional<StepGraphs> graphs_;
  Counters counters_;
};

}  // namespace dehvf
