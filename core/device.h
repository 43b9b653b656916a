// Where a tensor lives: a kind and an index, printed as cpu, cuda:0, emulator.
#pragma once

#include <cstdint>
#include <ostream>
#include <string_view>

namespace dehvf {

enum class DeviceKind : uint8_t { cpu, cuda, emulator };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

inline constexpr Device kCpu{};

Device device_named(std::string_view name);  // "cpu", "cuda", "cuda:1", "emulator"; throws ConfigError
std::ostream& operator<<(std::ostream& out, DeviceKind kind);
std::ostream& operator<<(std::ostream& out, const Device& device);

}  // namespace dehvf
