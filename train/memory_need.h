// What training will hold at the least, known before anything is loaded.
#pragma once

#include "models/fused_model.h"

namespace dehvf {

struct MemoryNeed {
  int64_t trained = 0, frozen = 0;  // elements
  DType dtype = DType::f32;         // of the frozen ones and the activations

  /// Trained ones are f32 with gradient and two moments, and have a copy in `dtype` where that is narrower.
  int64_t bytes() const;
};
MemoryNeed training_need(FusedModel& model, DType dtype);  // by shape; nothing needs to be allocated

/// Throws ConfigError with the numbers where `device` has less than `there` bytes for it.
void require_fits(const MemoryNeed& need, int64_t there, Device device);

/// All memory of a device, in bytes: of the host where it has none of its own.
int64_t memory_of(Device device);

}  // namespace dehvf
