#include "core/device.h"

#include <charconv>

#include "core/error.h"

namespace dehvf {

Device device_named(std::string_view name) {
  if (name == "cpu") return {};
  if (name == "emulator") return {DeviceKind::emulator, 0};
  if (name == "cuda") return {DeviceKind::cuda, 0};
  if (name.starts_with("cuda:")) {
    int index = -1;
    const auto digits = name.substr(5);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (error == std::errc{} && end == digits.data() + digits.size() && index >= 0)
      return {DeviceKind::cuda, index};
  }
  fail<ConfigError>("device: wanted cpu, cuda, cuda:N or emulator, found '", name, "'");
}

std::ostream& operator<<(std::ostream& out, DeviceKind kind) {
  switch (kind) {
    case DeviceKind::cpu:
      return out << "cpu";
    case DeviceKind::cuda:
      return out << "cuda";
    case DeviceKind::emulator:
      return out << "emulator";
    case DeviceKind::plan:
      return out << "plan";
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, const Device& device) {
  out << device.kind;
  return device.kind == DeviceKind::cuda ? out << ':' << device.index : out;
}

}  // namespace dehvf
