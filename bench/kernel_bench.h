// Times kernels of a device beside their alternatives and beside a plain copy of the same bytes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "core/registry.h"
#include "core/tensor.h"

namespace dehvf {

/// What a case is made of: tensors drawn on the device, as many sets of them as keep the cache cold.
class Workbench {
 public:
  explicit Workbench(Device device, bool quick) : device_(device), quick_(quick) {}
  Device device() const { return device_; }
  bool quick() const { return quick_; }  // sizes that the emulator can do, to try the bench itself
  int64_t size(int64_t full, int64_t small) const { return quick_ ? small : full; }

  Tensor random(const Shape& shape, DType dtype = DType::bf16) const;  // normal, deviation 1
  Tensor empty(const Shape& shape, DType dtype = DType::bf16) const { return {shape, dtype, device_}; }
  Tensor indices(const std::vector<int32_t>& values) const;

 private:
  Device device_;
  bool quick_;
};

/// One kernel at one size. `make` draws the inputs and returns what runs the given variant on them once. A
/// variant that no registry knows is another way to the same result.
struct KernelCase {
  std::string slot, shape;
  double bytes = 0, flops = 0;  // that the kernel has to move and to do
  std::vector<KernelKey> variants;
  std::function<std::function<void(const KernelKey&)>(const Workbench&)> make;
};

std::vector<KernelCase> memory_cases(const Workbench& bench);
std::vector<KernelCase> product_cases(const Workbench& bench);
std::vector<KernelCase> fusion_cases(const Workbench& bench);
std::vector<KernelCase> composed_cases(const Workbench& bench);

template <class Tag>
std::vector<KernelKey> variants_of(Device device) {
  std::vector<KernelKey> found;
  for (const KernelKey& key : Registry<Tag>::instance().keys())
    if (key.device == device.kind) found.push_back(key);
  return found;
}

/// The case's variants in turns with a copy of as many bytes: [{slot, variant, shape, rounds, us, low_us,
/// high_us, gb_s, tflop_s, of_copy}], or {slot, variant, shape, failed} for one that does not run.
Json measure(const KernelCase& what, const Workbench& bench);

/// Rates of the machine: device copy, host link both ways, the largest product, the launch of an empty
/// kernel.
Json machine_rates(const Workbench& bench);

struct KernelBenchOptions {
  Device device;
  bool quick = false;
  std::string filter;         // part of a slot's name; empty takes all
  std::filesystem::path out;  // rewritten after every case, so that an interrupted run keeps what it has
};

/// {version, what, device, rates, kernels: rows of measure(), or {slot, shape, failed}}. `progress` gets a
/// line before each case.
Json bench_kernels(const KernelBenchOptions& options,
                   const std::function<void(const std::string&)>& progress);

}  // namespace dehvf
