// A whole training step at published shapes with random weights: its time, where it goes, what it holds, and
// its share of the floor at this machine's own rates.
#pragma once

#include <filesystem>
#include <functional>

#include "core/io/json.h"
#include "train/planned_model.h"

namespace dehvf {

struct TrainStepOptions {
  Device device;
  std::string shape = "7b";                         // of step_shape()
  int64_t samples = 0, length = 0, supervised = 0;  // 0: the shape's own
  std::filesystem::path out;                        // JSON; may be empty
};

struct StepShape {
  LlamaConfig llama;
  VisionConfig tower;
  StepSize size;
};

/// 7b, 13b (LLaMA's, each with CLIP ViT-L/14: 4 x 512 tokens, 8 labelled) or tiny, which any device can run.
/// Throws ConfigError naming them.
StepShape step_shape(const std::string& name);

/// Bytes that can still be had of a device: of the host what it can give without swapping.
int64_t free_bytes(Device device);

/// The rates that floors are drawn by, of a result of machine_rates().
MachineRates floor_rates(const Json& rates);

/// {version, what: "step", device, shape, rates, samples, length, supervised, loss, step: rows as those of
/// measure() with floor_us and of_floor, planned, memory, peak_bytes, tflop_s}. Rows: the step;
/// its passes and their parts from steps that wait for every kernel, so that nothing of the host is in them.
/// DEHVF with its defaults and adapters in the tower, everything in bf16. The floors are of the same step on
/// the plan. Throws OutOfMemory, before anything is made, where what the plan holds is not free.
Json bench_train_step(const TrainStepOptions& options,
                      const std::function<void(const std::string&)>& progress);

}  // namespace dehvf
