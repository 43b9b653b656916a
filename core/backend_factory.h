// How a device kind joins the Runtime: a factory that appends one Backend for each device it finds.
#pragma once

#include "core/backend.h"
#include "core/registry.h"

namespace dehvf {

struct BackendFactory {
  using Key = DeviceKind;
  using Entry = void (*)(const RuntimeOptions&, std::vector<std::unique_ptr<Backend>>&);
  static constexpr std::string_view name = "backend";
};

}  // namespace dehvf
