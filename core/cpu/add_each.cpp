#include "core/ops/add_each.h"

#include "core/ops/elementwise.h"

namespace dehvf::cpu {
namespace {

const Provide<AddEach> provide_add_each{{DeviceKind::cpu}, [](std::span<const Addition> additions) {
                                          for (const auto& [x, sum] : additions) add_into(x, sum);
                                        }};

}  // namespace
}  // namespace dehvf::cpu
