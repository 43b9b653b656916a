#include "core/ops/add_each.h"

#include "core/ops/check.h"

namespace dehvf {

void add_each(std::span<const Addition> additions) {
  if (additions.empty()) return;
  const Device device = additions[0].sum.device();
  for (const auto& [x, sum] : additions) {
    check_float("add_each", "x", x);
    check_float("add_each", "sum", sum);
    require(x.shape() == sum.shape(), "add_each: x is ", x.shape(), ", sum is ", sum.shape());
    require<DeviceError>(x.device() == device && sum.device() == device, "add_each: x is on ", x.device(),
                         ", sum on ", sum.device(), ", the first on ", device);
  }
  run<AddEach>(device.kind, additions);
  if (const NanWatch* watch = NanWatch::current())
    for (size_t i = 0; i < additions.size(); ++i) watch->look(AddEach::name, int(i), additions[i].sum, false);
}

}  // namespace dehvf
