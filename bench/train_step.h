// A whole training step at published shapes with random weights: its time, where it goes, what it holds, and
// its share of the floor at this machine's own rates.
#pragma once

#include <filesystem>
#include <functional>

#include "bench/step_floor.h"
#include "core/io/json.h"

namespace dehvf {

struct TrainStepOptions {
  Device device;
  std::string shape = "7b";                         // of step_shape()
  int64_t samples = 0, length = 0, supervised = 0;  // 0: the shape's own
  std::filesystem::path out;                        // JSON; may be empty
};

/// 7b, 13b (LLaMA's, each with CLIP ViT-L/14: 4 x 512 tokens, 8 labelled) or tiny, which any device can run.
/// Throws ConfigError naming them.
StepShape step_shape(const std::string& name);

/// Bytes that a step holds: frozen weights in bf16; parameters with gradients, moments and a rounded copy;
/// what LLaMA and tower keep for backward. Workspaces and what the operator keeps are left out.
int64_t step_bytes(const StepShape& shape, FusedModel& model);

/// Where a kernel's time counts: one of step_floor's parts, or elementwise. Outside of all blocks that is the
/// operator, but for the lm head. `place` as RangeClock's.
std::string_view part_of(std::string_view place);

/// {version, what: "step", device, shape, rates, samples, length, supervised, loss, step: rows as those of
/// measure() with floor_us and of_floor, memory, peak_bytes, floor_us, of_floor, tflop_s}. Rows: the step;
/// its passes and their parts from steps that wait for every kernel, so that nothing of the host is in them.
/// DEHVF with its defaults and adapters in the tower, everything in bf16. Throws OutOfMemory, before anything
/// is made, where a quarter more than step_bytes() is not free.
Json bench_train_step(const TrainStepOptions& options,
                      const std::function<void(const std::string&)>& progress);

}  // namespace dehvf
