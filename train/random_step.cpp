#include "train/random_step.h"

#include "core/random.h"

namespace dehvf {
namespace {

std::vector<Example> random_examples(const StepSize& size, int64_t vocab) {
  std::vector<Example> examples;
  Random random(3);
  for (int64_t s = 0; s < size.samples; ++s) {
    const bool sees = size.pictures < 0 || s < size.pictures;
    Example example{.image = sees ? int32_t(s) : -1, .id = s};
    for (int64_t p = 0; p < size.length; ++p) {
      const auto token = int32_t(random.below(uint64_t(vocab)));
      example.tokens.push_back(token);
      example.labels.push_back(p < size.length - size.supervised ? kIgnored : token);
    }
    examples.push_back(std::move(example));
  }
  return examples;
}

}  // namespace

RandomStep::RandomStep(FusedModel& model, const StepSize& size, DType dtype)
    : examples_(random_examples(size, model.llama().config().vocab)) {
  if (!model.fusion().tower().levels.empty()) {
    const int64_t side = model.tower().config().image;
    pictures_.emplace(model, random_normal({size.samples * model.images(), 3, side, side}, 1, 2),
                      /*cached=*/false);
  }
  AdapterTask::Options batches{.batch = size.samples, .micro_batch = size.samples, .mode = size.mode};
  task_.emplace(model, model, examples_, pictures_ ? &*pictures_ : nullptr, batches);
  trainer_.emplace(*task_, TrainerOptions{.schedule = {.peak = 1e-4, .steps = 1 << 20},
                                          .clip = 1,
                                          .working = size_of(dtype) < 4 ? dtype : DType::f32});
}

StepReport RandomStep::step() {
  StepReport report = trainer_->step();
  require<Error>(report.skipped.empty(), "step: the gradient of ", report.skipped, " is not finite");
  return report;
}

}  // namespace dehvf
