#include "train/trainer.h"

#include <chrono>

#include "autograd/tape.h"
#include "core/nan_watch.h"
#include "core/phase.h"

namespace dehvf {

Trainer::Trainer(Task& task, const TrainerOptions& options)
    : task_(task),
      options_(options),
      parameters_(task.trained(), options.working),
      state_(step_state(parameters_.buffers().value.device())) {
  use_graphs(options.graphs);
}

void Trainer::use_graphs(bool wanted) {
  graphs_.reset();
  // Who looks for NaN reads every kernel's result.
  if (wanted && !options_.find_nan && task_.replays() && backend(state_.device()).can_capture())
    graphs_.emplace(state_.device());
}

StepReport Trainer::step() {
  const auto begin = std::chrono::steady_clock::now();
  const int64_t done = counters_.steps;
  std::optional<NanWatch> watch;
  if (options_.find_nan) watch.emplace();
  parameters_.zero_gradients();
  const int micro_batches = task_.prepare(uint64_t(done));
  write_step({.step = uint64_t(done),
              .updates = uint64_t(counters_.updates),
              .learning_rate = options_.schedule.rate(done),
              .loss_scale = float(task_.loss_scale())},
             state_);
  for (int i = 0; i < micro_batches; ++i) accumulate(i);
  const Phase phase("optimizer");
  finish_gradients(parameters_.buffers().gradient, options_.adamw, options_.clip, state_);
  adamw(parameters_.buffers(), options_.adamw, state_);
  StepReport report = count(read_step(state_));
  report.tokens = task_.tokens();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

void Trainer::accumulate(int micro_batch) {
  const auto work = [&](std::span<const Tensor> inputs) {
    std::optional<Phase> phase("forward");
    const Variable loss = task_.loss(micro_batch, inputs, state_);
    add_loss(loss.value(), state_);
    phase.emplace("backward");
    if (loss.wants_grad()) backward(loss);  // texts without images may train nothing of an operator
  };
  const std::vector<Tensor> inputs = task_.inputs(micro_batch);
  if (graphs_ && !inputs.empty())
    graphs_->run(inputs, work);
  else
    work(moved(inputs, state_.device()));
}

StepReport Trainer::count(const StepState& state) {
  StepReport report{.step = ++counters_.steps,
                    .loss = state.loss,
                    .learning_rate = state.learning_rate,
                    .gradient_norm = state.gradient_norm};
  if (!state.skip) {
    ++counters_.updates, counters_.skipped_in_a_row = 0;
    return report;
  }
  report.skipped = state.not_finite < 0 ? "the loss" : parameters_.path_at(state.not_finite);
  ++counters_.skipped, ++counters_.skipped_in_a_row;
  require<Error>(counters_.skipped_in_a_row <= options_.max_skips, "training: ", counters_.skipped_in_a_row,
                 " updates in a row were not finite, at step ", report.step, " first in ", report.skipped,
                 "; lower the learning rate");
  return report;
}

void Trainer::run(const std::function<bool(const StepReport&)>& after) {
  while (counters_.steps < options_.steps)
    if (!after(step())) return;
}

}  // namespace dehvf
