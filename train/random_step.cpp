#include "train/random_step.h"

#include <algorithm>

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

// What its texts see is counted anew.
StepTexts numbered(StepTexts texts) {
  int32_t picture = 0;
  for (Example& example : texts.examples)
    if (example.image != -1) example.image = picture++;
  return texts;
}

int64_t seeing(const StepTexts& texts) {
  return std::ranges::count_if(texts.examples, [](const Example& example) { return example.image != -1; });
}

bool looks(const FusedModel& model) { return !model.fusion().tower().levels.empty(); }

Shape pixels_of(const FusedModel& model, int64_t seeing) {
  const int64_t side = model.tower().config().image;
  return {seeing * model.images(), 3, side, side};
}

}  // namespace

RandomStep::RandomStep(FusedModel& model, const StepSize& size, DType dtype)
    : RandomStep(model, {random_examples(size, model.llama().config().vocab), size.mode, false},
                 looks(model) ? random_normal(pixels_of(model, size.samples), 1, 2) : Tensor(), dtype) {}

RandomStep::RandomStep(FusedModel& model, StepTexts texts, DType dtype)
    : RandomStep(model, numbered(texts), looks(model) ? zeros(pixels_of(model, seeing(texts))) : Tensor(),
                 dtype) {}

RandomStep::RandomStep(FusedModel& model, StepTexts texts, const Tensor& pixels, DType dtype)
    : examples_(std::move(texts.examples)) {
  if (pixels.defined()) pictures_.emplace(model, pixels, texts.cached);
  const auto samples = int64_t(examples_.size());
  AdapterTask::Options batches{.batch = samples, .micro_batch = samples, .mode = texts.mode};
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
