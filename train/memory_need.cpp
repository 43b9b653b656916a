#include "train/memory_need.h"

#include <cstdio>
#include <set>

#include <unistd.h>

#include "core/device_report.h"

namespace dehvf {
namespace {

std::string gigabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GB", double(bytes) / 1e9);
  return text;
}

}  // namespace

int64_t MemoryNeed::bytes() const {
  const int64_t copy = dtype == DType::bf16 || dtype == DType::f16 ? 2 : 0;
  return trained * (4 * 4 + copy) + frozen * int64_t(size_of(dtype));
}

MemoryNeed training_need(FusedModel& model, DType dtype) {
  MemoryNeed need{.dtype = dtype};
  std::set<const Parameter*> trained;
  for (const auto& [path, parameter] : parameters_of(model)) {
    trained.insert(parameter);
    need.trained += parameter->shape().count();
  }
  for (Module* part : {static_cast<Module*>(&model.llama()), static_cast<Module*>(&model.tower())})
    for (const auto& [path, parameter] : parameters_of(*part))
      if (!trained.contains(parameter)) need.frozen += parameter->shape().count();
  return need;
}

void require_fits(const MemoryNeed& need, int64_t there, Device device) {
  require<ConfigError>(
      need.bytes() <= there, "memory: ", need.trained,
      " trained parameters with gradients and two moments and ", need.frozen, " frozen ones in ", need.dtype,
      " take at least ", gigabytes(need.bytes()), ", and ", device, " has ", gigabytes(there), ", ",
      gigabytes(need.bytes() - there),
      " less; train less of the language model (tune, lora.rank), or choose another dtype or device");
}

int64_t memory_of(Device device) {
  if (device.kind == DeviceKind::cuda) return int64_t(cuda_memory(device.index));
  return int64_t(sysconf(_SC_PHYS_PAGES)) * int64_t(sysconf(_SC_PAGE_SIZE));
}

}  // namespace dehvf
