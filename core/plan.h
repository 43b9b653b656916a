// The plan stands for a GPU or, as a device of its own, for the CPU, where what an op or a model does
// differs.
#pragma once

#include "core/device.h"

namespace dehvf {

inline constexpr Device kCpuPlan{DeviceKind::plan, 1};

/// The plan that stands for `device`.
inline Device plan_of(Device device) { return device == kCpu ? kCpuPlan : kPlan; }
/// Whether work there is done as on the CPU.
inline bool as_on_cpu(Device device) { return device == kCpu || device == kCpuPlan; }

}  // namespace dehvf
