#include "train/trainer.h"

#include <chrono>

#include "autograd/tape.h"

namespace dehvf {

Trainer::Trainer(Task& task, const TrainerOptions& options)
    : task_(task), options_(options), parameters_(task.trained()) {}

StepReport Trainer::step() {
  const auto begin = std::chrono::steady_clock::now();
  const int64_t done = counters_.steps;
  StepReport report{.step = done + 1, .learning_rate = options_.schedule.rate(done)};
  parameters_.zero_gradients();
  const int micro_batches = task_.prepare(uint64_t(done));
  for (int i = 0; i < micro_batches; ++i) {
    const Variable loss = task_.loss(i);
    report.loss += item(loss.value());
    backward(loss);
  }
  update(report);
  report.tokens = task_.tokens();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

void Trainer::update(StepReport& report) {
  const Tensor& gradient = parameters_.buffers().gradient;
  report.gradient_norm = std::sqrt(squared_norm(gradient));
  ++counters_.steps;
  if (!std::isfinite(report.gradient_norm) || !std::isfinite(report.loss)) {
    const int64_t bad = first_non_finite(gradient);
    report.skipped = bad < 0 ? "the loss" : parameters_.path_at(bad);
    ++counters_.skipped, ++counters_.skipped_in_a_row;
    require<Error>(counters_.skipped_in_a_row <= options_.max_skips, "training: ", counters_.skipped_in_a_row,
                   " updates in a row were not finite, at step ", report.step, " first in ", report.skipped,
                   "; lower the learning rate");
    return;
  }
  ++counters_.updates, counters_.skipped_in_a_row = 0;
  StepState state{.step = uint64_t(counters_.updates), .learning_rate = report.learning_rate};
  state.first_correction = 1 - std::pow(options_.adamw.beta1, double(state.step));
  state.second_correction = 1 - std::pow(options_.adamw.beta2, double(state.step));
  if (options_.clip > 0 && report.gradient_norm > options_.clip)
    state.clip_factor = options_.clip / report.gradient_norm;
  adamw(parameters_.buffers(), options_.adamw, state);
}

void Trainer::run(const std::function<bool(const StepReport&)>& after) {
  while (counters_.steps < options_.steps)
    if (!after(step())) return;
}

}  // namespace dehvf
