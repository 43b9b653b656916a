#include "core/energy.h"

#include <fstream>
#include <vector>

#include <dlfcn.h>

#include "core/device_report.h"

namespace dehvf {
namespace {

namespace fs = std::filesystem;

// A counter that begins again behind its range, in microjoules.
class Package {
 public:
  explicit Package(const fs::path& folder) : path_(folder / "energy_uj") {
    const auto now = number_in(path_), range = number_in(folder / "max_energy_range_uj");
    if (!now || !range || *range == 0) return;
    last_ = *now, range_ = *range;
  }
  bool tells() const { return range_ > 0; }
  /// Since the call before.
  std::optional<uint64_t> taken() {
    const auto now = number_in(path_);
    if (!now || *now > range_) return {};
    const uint64_t taken = *now >= last_ ? *now - last_ : range_ - last_ + *now;
    last_ = *now;
    return taken;
  }

 private:
  // The system's files have no size and one number.
  static std::optional<uint64_t> number_in(const fs::path& path) {
    uint64_t number = 0;
    if (std::ifstream file(path); file >> number) return number;
    return {};
  }

  fs::path path_;
  uint64_t last_ = 0, range_ = 0;
};

class PowercapMeter : public EnergyMeter {
 public:
  explicit PowercapMeter(std::vector<Package> packages) : packages_(std::move(packages)) {}
  std::optional<double> joules() override {
    for (Package& package : packages_) {
      const auto taken = package.taken();
      if (!taken) return {};
      microjoules_ += *taken;
    }
    return 1e-6 * double(microjoules_);
  }

 private:
  std::vector<Package> packages_;
  uint64_t microjoules_ = 0;
};

class NvmlMeter : public EnergyMeter {
 public:
  NvmlMeter(const Nvml& nvml, void* device, unsigned long long begin)
      : nvml_(nvml), device_(device), begin_(begin) {}
  std::optional<double> joules() override {
    unsigned long long now = 0;
    if (nvml_.energy(device_, &now) != 0 || now < begin_) return {};
    return 1e-3 * double(now - begin_);
  }

 private:
  const Nvml& nvml_;
  void* device_;
  unsigned long long begin_;
};

std::optional<Nvml> opened() {
  void* const library =
      dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);  // stays open until the program ends
  if (!library) return {};
  Nvml table{};
  bool complete = true;
  const auto find = [&]<class Function>(Function& function, const char* symbol) {
    function = reinterpret_cast<Function>(dlsym(library, symbol));
    complete = complete && function;
  };
  find(table.init, "nvmlInit_v2");
  find(table.by_bus_id, "nvmlDeviceGetHandleByPciBusId_v2");
  find(table.energy, "nvmlDeviceGetTotalEnergyConsumption");
  if (!complete || table.init() != 0) return {};
  return table;
}

}  // namespace

const Nvml* Nvml::instance() {
  static const std::optional<Nvml> table = opened();
  return table ? &*table : nullptr;
}

std::unique_ptr<EnergyMeter> nvml_meter(const Nvml& nvml, const std::string& bus_id) {
  void* device = nullptr;
  unsigned long long begin = 0;
  if (nvml.by_bus_id(bus_id.c_str(), &device) != 0 || nvml.energy(device, &begin) != 0) return nullptr;
  return std::make_unique<NvmlMeter>(nvml, device, begin);
}

std::unique_ptr<EnergyMeter> powercap_meter(const fs::path& root) {
  std::vector<Package> packages;
  std::error_code error;
  for (fs::directory_iterator entry(root, error), end; !error && entry != end; entry.increment(error)) {
    // "intel-rapl:0", also on AMD; not its parts, "intel-rapl:0:1", nor the same by another way,
    // "intel-rapl-mmio:0".
    const std::string zone = entry->path().filename().string();
    if (!zone.starts_with("intel-rapl:") || zone.find(':') != zone.rfind(':')) continue;
    std::string name;
    if (std::ifstream file(entry->path() / "name"); !(file >> name) || !name.starts_with("package")) continue;
    packages.emplace_back(entry->path());
    if (!packages.back().tells()) return nullptr;  // a sum without it would be another thing
  }
  return error || packages.empty() ? nullptr : std::make_unique<PowercapMeter>(std::move(packages));
}

std::unique_ptr<EnergyMeter> energy_meter(Device device) {
  if (device == kCpu) return powercap_meter();
  const std::string bus_id = device.kind == DeviceKind::cuda ? cuda_bus_id(device.index) : "";
  const Nvml* const nvml = bus_id.empty() ? nullptr : Nvml::instance();
  return nvml ? nvml_meter(*nvml, bus_id) : nullptr;
}

}  // namespace dehvf
