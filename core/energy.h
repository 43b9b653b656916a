// How much energy a device has taken, where it tells: an NVIDIA GPU through NVML, the packages of a host's
// processors through Linux's powercap (RAPL). Both count for everybody who uses them, not for one program.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "core/device.h"

namespace dehvf {

class EnergyMeter {
 public:
  virtual ~EnergyMeter() = default;
  /// Joules taken since the meter was made; nothing when the device has ceased to tell. Counters move in
  /// steps of up to a tenth of a second, and one of powercap starts anew every few hours or sooner: what
  /// passes between two calls must be less than its range.
  virtual std::optional<double> joules() = 0;
};

/// Null where the device does not tell or may not be read; throws nothing for it.
std::unique_ptr<EnergyMeter> energy_meter(Device device);

/// Of all processor packages that the folder of powercap shows.
std::unique_ptr<EnergyMeter> powercap_meter(const std::filesystem::path& root = "/sys/class/powercap");

/// NVML's functions, by its own names and types (nvml.h): 0 is success, a device a pointer, energy in
/// millijoules since the driver was loaded, from Volta on.
struct Nvml {
  int (*init)();
  int (*by_bus_id)(const char* bus_id, void** device);
  int (*energy)(void* device, unsigned long long* millijoules);
  static const Nvml* instance();  // from libnvidia-ml.so.1; null where that is not installed
};
/// Of the GPU at a PCI address, "0000:3b:00.0". The table outlives the meter.
std::unique_ptr<EnergyMeter> nvml_meter(const Nvml& nvml, const std::string& bus_id);

}  // namespace dehvf
