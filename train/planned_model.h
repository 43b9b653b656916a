// What a model would launch, multiply, move and hold on any device, known without one and without weights:
// the model itself, run on the plan.
#pragma once

#include <memory>

#include "core/kernel.h"
#include "core/plan.h"
#include "train/random_step.h"

namespace dehvf {

/// Kernels that ran on the plan, and what was held when that was most.
struct PlannedWork {
  std::vector<Trace::Call> calls;
  MemoryLedger::Table memory{};
  double flops() const;
  size_t bytes() const;  // held; workspaces of a device's own kernels come on top
};

/// Where a kernel counts, by its name and its place (Trace::Call): vision; of LLaMA's blocks linears,
/// attention, visual rows and elementwise; lm head; operator, which is all else before the optimizer;
/// optimizer.
std::string_view part_of(std::string_view place, std::string_view kernel = {});

struct MachineRates {
  double flops = 0, bytes = 0;  // a second: the fastest product of a large cube; a copy, read and written
  double launch = 0;            // seconds of the shortest kernel behind another one
};

/// The least time for the products among these kernels: each takes the longer of its FLOPs and of its
/// tensors, moved once. Elementwise work, which fused kernels do on the way, launches and data are left out
/// (a roofline: Williams et al., CACM 2009).
double floor_seconds(std::span<const Trace::Call> calls, const MachineRates& rates);
/// As floor_seconds(), with every other kernel's tensors moved once and none below its launches: what kernels
/// at these rates take. Products that are cut along k, for want of rows, are a launch more.
double forecast_seconds(std::span<const Trace::Call> calls, const MachineRates& rates);

/// One lives at a time. Its frozen weights and activations are of `dtype`; `plan` is that of the device it is
/// planned for.
class PlannedModel {
 public:
  PlannedModel(const LlamaConfig& llama, const VisionConfig& tower, FusedModelOptions options, DType dtype,
               Device plan = kPlan);
  ~PlannedModel();
  FusedModel& model() { return *model_; }

  PlannedWork train_step(const StepSize& size);
  PlannedWork train_step(const StepTexts& texts);
  /// Of `samples` texts of `length` tokens, each with its pictures: what is computed of the pictures once;
  /// the first token; one more.
  struct Inference {
    PlannedWork images, first_token, next_token;
  };
  Inference inference(int64_t samples, int64_t length);

 private:
  template <class Step>
  PlannedWork train(const Step& what);
  void place(Module& module, bool trainable);
  PlannedWork planned(const std::function<void()>& body);

  DType dtype_;
  Device plan_;
  std::unique_ptr<FusedModel> model_;
};

/// What a device of `there` bytes lacks for this work, by purpose, and what would help; empty where it fits.
std::string shortage(const PlannedWork& work, Device device, int64_t there);

/// All memory of a device, in bytes: of the host where it has none of its own.
int64_t memory_of(Device device);

}  // namespace dehvf
