// Teaching an adapter between frozen models: batches of examples, their pictures, the mean loss of the step.
#pragma once

#include <memory>

#include "data/length_buckets.h"
#include "data/prefetch.h"
#include "train/examples.h"
#include "train/picture_source.h"
#include "train/trainer.h"

namespace dehvf {

class AdapterTask : public Task {
 public:
  struct Options {
    int64_t batch = 32, micro_batch = 32;
    uint64_t seed = 0;
    SegmentMode mode = SegmentMode::keep;
    bool by_length = true;  // batches of similar length; else mixed, which small data sets learn better from
    int ahead = 64, decoders = 2;  // pictures decoded ahead, and threads for it; no result depends on them
  };

  /// `trained` is the model (its adapter) or, to pre-train, its language model. `pictures` may be null when
  /// the model looks at none. Everything must outlive the task.
  AdapterTask(FusedModel& model, Module& trained, const std::vector<Example>& examples,
              const PictureSource* pictures, const Options& options);

  Module& trained() override { return trained_; }
  int prepare(uint64_t step) override;
  double loss_scale() const override { return 1.0 / double(labelled_); }
  std::vector<Tensor> inputs(int micro_batch) override;
  bool replays() const override { return model_.replays(); }
  Variable loss(int micro_batch, std::span<const Tensor> inputs, const Tensor& state) override;
  int64_t tokens() const override { return tokens_; }
  std::string cursor() const override;
  void seek(const std::string& cursor) override;

 private:
  // What a micro-batch's loss reads; tensors that it does not need are empty.
  struct MicroBatch {
    TextPlan text;
    Tensor targets;
    Tensor cached;               // i32 [images]: where the levels of its pictures are kept
    Tensor pixels, picture_ids;  // of pictures that the tower looks at in this step
    template <class Fn>
    void visit(const Fn& fn) {
      text.visit(fn);
      for (Tensor* tensor : {&targets, &cached, &pixels, &picture_ids}) fn(*tensor);
    }
  };

  void start_decoding();
  Tensor next_pixels(std::span<const int32_t> pictures);
  MicroBatch micro_batch(std::span<const int64_t> chosen);
  TowerLevels levels(const MicroBatch& part, const Tensor& state) const;

  FusedModel& model_;
  Module& trained_;
  const std::vector<Example>& examples_;
  const PictureSource* pictures_;
  Options options_;
  BatchSequence sequence_;
  std::vector<MicroBatch> parts_;  // of this step, on the host
  int64_t tokens_ = 0, labelled_ = 0;
  std::unique_ptr<Prefetch<Tensor>> decoded_;  // the pictures that are left of this epoch
};

/// Of the micro-batches of a run's first `steps` those of which one holds the most: no other has as many
/// tokens and as many pictures as one of these.
std::vector<std::vector<Example>> largest_micro_batches(const std::vector<Example>& examples,
                                                        const AdapterTask::Options& options, int64_t steps);

/// The examples as one packed batch, and what they see in the order the batch counts it.
struct PackedExamples {
  TextBatch batch;
  std::vector<int32_t> pictures;  // of a PictureSource
};
PackedExamples pack_with_pictures(std::span<const std::vector<int32_t>> tokens,
                                  std::span<const int32_t> images, std::span<const int64_t> ids);

}  // namespace dehvf
