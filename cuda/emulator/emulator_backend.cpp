// The emulated device: the host's memory; work is done in line, or recorded and done later.
#include <atomic>
#include <cstring>

#include "core/backend_factory.h"
#include "core/error.h"
#include "cuda/emulator/recorder.h"

namespace dehvf {
namespace {

constexpr Device kEmulator{DeviceKind::emulator, 0};

struct RecordedGraph : Graph {
  void replay(Stream) override {
    for (const auto& step : work) step();
  }
  std::shared_ptr<void> memory;
  simt::Work work;
};

class EmulatorBackend : public Backend {
 public:
  Device device() const override { return kEmulator; }

  void* allocate(size_t bytes, Stream stream) override {
    void* const data = records(stream) ? recorded_memory_.allocate(bytes) : backend(kCpu).allocate(bytes, {});
    const size_t now = in_use_.fetch_add(bytes) + bytes;
    for (size_t peak = peak_.load(); now > peak && !peak_.compare_exchange_weak(peak, now);) {
    }
    return data;
  }

  void free(void* data, size_t bytes, Stream) noexcept override {
    in_use_.fetch_sub(bytes);
    if (!recorded_memory_.free(data)) backend(kCpu).free(data, bytes, {});
  }

  void* allocate_pinned(size_t bytes) override { return backend(kCpu).allocate_pinned(bytes); }
  void free_pinned(void* data, size_t bytes) noexcept override { backend(kCpu).free_pinned(data, bytes); }

  void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes,
            Stream stream) override {
    const auto reachable = [](Device device) { return device == kCpu || device == kEmulator; };
    require<DeviceError>(reachable(to_device) && reachable(from_device), "emulator copy: from ", from_device,
                         " to ", to_device);
    if (!records(stream)) return static_cast<void>(std::memcpy(to, from, bytes));
    require_recordable(to_device, bytes);
    if (from_device == kEmulator) return simt::queue(stream, [=] { std::memcpy(to, from, bytes); });
    const auto* const begin = static_cast<const std::byte*>(from);
    simt::queue(stream, [to, kept = std::vector<std::byte>(begin, begin + bytes)] {
      std::memcpy(to, kept.data(), kept.size());
    });
  }

  void fill_bytes(void* data, int byte, size_t bytes, Stream stream) override {
    simt::queue(stream, [=] { std::memset(data, byte, bytes); });
  }

  Stream make_stream() override { return {kEmulator, nullptr}; }
  Event record(Stream) override { return {kEmulator, nullptr}; }
  void wait(Stream, Event) override {}
  void synchronize(Stream) override {}

  bool can_capture() const override { return true; }
  Stream begin_capture() override {
    require<DeviceError>(!graph_, "emulator: work is being recorded already");
    graph_ = std::make_unique<RecordedGraph>();
    graph_->memory = recorded_memory_.hold();
    recording_.recorded = &graph_->work;
    return {kEmulator, &recording_};
  }
  std::unique_ptr<Graph> end_capture() override {
    recording_.recorded = nullptr;
    return std::move(graph_);
  }
  bool records(Stream stream) const override {
    return stream.handle == &recording_ && recording_.recorded != nullptr;
  }

  size_t bytes_in_use() const override { return in_use_.load(); }
  size_t peak_bytes() const override { return peak_.load(); }

 private:
  std::atomic<size_t> in_use_{0}, peak_{0};
  simt::StreamState recording_;
  std::unique_ptr<RecordedGraph> graph_;
  Arena recorded_memory_ =
      recorded_arena([](size_t bytes) { return backend(kCpu).allocate(bytes, {}); },
                     [](void* data, size_t bytes) { backend(kCpu).free(data, bytes, {}); });
};

const Provide<BackendFactory> emulator{
    DeviceKind::emulator, [](const RuntimeOptions&, std::vector<std::unique_ptr<Backend>>& backends) {
      backends.push_back(std::make_unique<EmulatorBackend>());
    }};

}  // namespace
}  // namespace dehvf
