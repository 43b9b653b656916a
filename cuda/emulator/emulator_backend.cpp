// The emulated device: the host's memory, everything in line.
#include <atomic>
#include <cstring>

#include "core/backend_factory.h"
#include "core/error.h"

namespace dehvf {
namespace {

constexpr Device kEmulator{DeviceKind::emulator, 0};

class EmulatorBackend : public Backend {
 public:
  Device device() const override { return kEmulator; }

  void* allocate(size_t bytes, Stream) override {
    void* const data = backend(kCpu).allocate(bytes, {});
    const size_t now = in_use_.fetch_add(bytes) + bytes;
    for (size_t peak = peak_.load(); now > peak && !peak_.compare_exchange_weak(peak, now);) {
    }
    return data;
  }

  void free(void* data, size_t bytes, Stream) noexcept override {
    in_use_.fetch_sub(bytes);
    backend(kCpu).free(data, bytes, {});
  }

  void* allocate_pinned(size_t bytes) override { return backend(kCpu).allocate_pinned(bytes); }
  void free_pinned(void* data, size_t bytes) noexcept override { backend(kCpu).free_pinned(data, bytes); }

  void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes, Stream) override {
    const auto reachable = [](Device device) { return device == kCpu || device == kEmulator; };
    require<DeviceError>(reachable(to_device) && reachable(from_device), "emulator copy: from ", from_device,
                         " to ", to_device);
    std::memcpy(to, from, bytes);
  }

  void fill_bytes(void* data, int byte, size_t bytes, Stream) override { std::memset(data, byte, bytes); }
  Stream make_stream() override { return {kEmulator, nullptr}; }
  Event record(Stream) override { return {kEmulator, nullptr}; }
  void wait(Stream, Event) override {}
  void synchronize(Stream) override {}
  size_t bytes_in_use() const override { return in_use_.load(); }
  size_t peak_bytes() const override { return peak_.load(); }

 private:
  std::atomic<size_t> in_use_{0}, peak_{0};
};

const Provide<BackendFactory> emulator{
    DeviceKind::emulator, [](const RuntimeOptions&, std::vector<std::unique_ptr<Backend>>& backends) {
      backends.push_back(std::make_unique<EmulatorBackend>());
    }};

}  // namespace
}  // namespace dehvf
