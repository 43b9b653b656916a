// One optimizer step on a tiny model, on any device.
#pragma once

#include "train/contract/tiny.h"
#include "train/trainer.h"

namespace dehvf::contract {

class TinyTask : public Task {
 public:
  TinyTask(FusedModel& model, tiny::Input in, uint64_t dropout_seed)
      : model_(model), in_(std::move(in)), seed_(dropout_seed) {}
  Module& trained() override { return model_; }
  int prepare(uint64_t) override { return 1; }
  Variable loss(int, std::span<const Tensor>, const Tensor& state) override {
    return tiny::mean_loss(model_, in_, {.training = true, .seed = seed_, .step_state = state});
  }
  int64_t tokens() const override { return 0; }
  std::string cursor() const override { return ""; }
  void seek(const std::string&) override {}

 private:
  FusedModel& model_;
  tiny::Input in_;
  uint64_t seed_;
};

/// A model and what its first step left.
struct Stepped {
  Stepped(const tiny::Case& c, DType dtype, Device device, uint64_t dropout_seed = 3);
  /// The part of the model that parameter i belongs to.
  std::string part(size_t i) const { return ranges[i].path.substr(0, ranges[i].path.find('.')); }

  FusedModel model;
  TinyTask task;
  StepReport report;
  Tensor before;  // all trained values, flat
  AdamWBuffers buffers;
  std::vector<FlatParameters::Range> ranges;
  std::vector<Tensor> gradients;  // of each range
};

}  // namespace dehvf::contract
