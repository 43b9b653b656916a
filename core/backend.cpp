#include "core/backend.h"

#include <array>
#include <atomic>

#include "core/backend_factory.h"
#include "core/device_report.h"
#include "core/error.h"
#include "core/parallel.h"

namespace dehvf {
namespace {

std::atomic<std::vector<std::unique_ptr<Backend>>*> live_backends{nullptr};
thread_local std::array<Stream, kDeviceKinds>
    streams{};  // by device kind; a null handle is the device's default stream

Backend* find_backend(Device device) {
  if (auto* backends = live_backends.load())
    for (const auto& candidate : *backends)
      if (candidate->device() == device) return candidate.get();
  return nullptr;
}

std::string present_devices() {
  std::string present;
  if (auto* backends = live_backends.load())
    for (const auto& candidate : *backends)
      if (candidate->device().kind != DeviceKind::plan)
        present += concat(present.empty() ? "" : ", ", candidate->device());
  return present.empty() ? "none (no Runtime)" : present;
}

}  // namespace

Runtime::Runtime(RuntimeOptions options) {
  require<Error>(live_backends.load() == nullptr, "runtime: another one is alive");
  set_cpu_threads(options.threads);
  for (DeviceKind kind : Registry<BackendFactory>::instance().keys())
    Registry<BackendFactory>::instance().find(kind)(options, backends_);
  live_backends.store(&backends_);
}

Runtime::~Runtime() {
  live_backends.store(nullptr);
  set_cpu_threads(1);
}

Backend& backend(Device device) {
  if (Backend* found = find_backend(device)) return *found;
  fail<DeviceError>("device ", device, " is not here; present: ", present_devices(), "; run dehvf doctor");
}

Device chosen_device(std::string_view name) {
  constexpr Device kFirstGpu{DeviceKind::cuda, 0};
  if (name == "auto" && !has_device(kFirstGpu))
    if (const std::string refusal = cuda_refusal(); !refusal.empty())
      fail<ConfigError>("device auto: ", refusal, "; or say --device cpu");
  const Device device = name != "auto" ? device_named(name) : has_device(kFirstGpu) ? kFirstGpu : kCpu;
  require<ConfigError>(has_device(device), "device ", device, " is not here; present: ", present_devices(),
                       device.kind == DeviceKind::cuda ? "; " + cuda_report() : "");
  return device;
}

bool has_device(Device device) { return find_backend(device) != nullptr; }

Stream current_stream(Device device) {
  Stream stream = streams.at(size_t(device.kind));
  if (stream.device != device) stream = {device, nullptr};
  return stream;
}

StreamScope::StreamScope(Stream stream) : previous_(streams.at(size_t(stream.device.kind))) {
  streams.at(size_t(stream.device.kind)) = stream;
}

StreamScope::~StreamScope() { streams.at(size_t(previous_.device.kind)) = previous_; }

Stream Backend::begin_capture() { fail<DeviceError>(device(), ": work cannot be recorded here"); }
std::unique_ptr<Graph> Backend::end_capture() { fail<DeviceError>(device(), ": nothing is being recorded"); }

void Backend::require_recordable(Device to, size_t bytes) const {
  require<DeviceError>(to != kCpu, device(), ": ", bytes,
                       " bytes wanted on the host while work is recorded; read them after its replay");
}

Arena Backend::recorded_arena(Arena::Take take, Arena::Give give) {
  return {[this, take = std::move(take)](size_t bytes) {
            memory_.admit(bytes);
            void* const data = take(bytes);
            memory_.add(Purpose::recorded, bytes);
            return data;
          },
          [this, give = std::move(give)](void* data, size_t bytes) {
            give(data, bytes);
            memory_.remove(Purpose::recorded, bytes);
          }};
}

std::unique_ptr<Graph> capture(Device device, const std::function<void()>& body) {
  Backend& recorder = backend(device);
  const StreamScope scope(recorder.begin_capture());
  try {
    body();
  } catch (...) {
    try {
      recorder.end_capture();
    } catch (const DeviceError&) {  // the body's own error says more
    }
    throw;
  }
  return recorder.end_capture();
}

}  // namespace dehvf
