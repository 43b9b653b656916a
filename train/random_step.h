// Training steps on random texts and pictures: for what they cost, not for what they learn.
#pragma once

#include <optional>

#include "train/adapter_task.h"

namespace dehvf {

/// Samples of equal length; the first `pictures` of them, or all for -1, have pictures of their own where
/// the operator looks at any; the last `supervised` tokens of each are labelled.
struct StepSize {
  int64_t samples = 4, length = 512, supervised = 8;
  SegmentMode mode = SegmentMode::keep;
  int64_t pictures = -1;
  bool operator==(const StepSize&) const = default;
};

/// A micro-batch of texts that are there. With `cached` the levels of pictures are kept, as training does
/// where the tower has no adapters, and are not part of the step.
struct StepTexts {
  std::vector<Example> examples;
  SegmentMode mode = SegmentMode::keep;
  bool cached = false;
};

class RandomStep {
 public:
  /// The model has its weights, of `dtype` where they are frozen, on the device it runs on, and outlives
  /// this. Pictures are looked at in every step, as a tower with adapters must.
  RandomStep(FusedModel& model, const StepSize& size, DType dtype);
  /// The same of texts whose pictures are blank.
  RandomStep(FusedModel& model, StepTexts texts, DType dtype);

  /// Throws Error where a gradient is not finite.
  StepReport step();
  Trainer& trainer() { return *trainer_; }

 private:
  RandomStep(FusedModel& model, StepTexts texts, const Tensor& pixels, DType dtype);

  std::vector<Example> examples_;
  std::optional<PictureSource> pictures_;
  std::optional<AdapterTask> task_;
  std::optional<Trainer> trainer_;
};

}  // namespace dehvf
