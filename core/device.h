// Where a tensor lives: a kind and an index, printed as cpu, cuda:0, emulator, plan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string_view>

namespace dehvf {

/// `plan` computes nothing: its tensors have addresses and are booked, its kernels are counted (Trace). What
/// runs there tells what it would need elsewhere.
enum class DeviceKind : uint8_t { cpu, cuda, emulator, plan };
inline constexpr size_t kDeviceKinds = 4;

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

inline constexpr Device kCpu{}, kPlan{DeviceKind::plan, 0};

/// Whether the host can read a device's memory as its own.
constexpr bool host_reads(Device device) { return device.kind != DeviceKind::cuda; }

Device device_named(std::string_view name);  // "cpu", "cuda", "cuda:1", "emulator"; throws ConfigError
std::ostream& operator<<(std::ostream& out, DeviceKind kind);
std::ostream& operator<<(std::ostream& out, const Device& device);

}  // namespace dehvf
