// The plan as a device: addresses without pages behind them. Small things, as index tables are, are copied
// for the ops that read them on the host; the rest stays zero.
#include <atomic>
#include <cstring>

#include <sys/mman.h>

#include "core/backend_factory.h"
#include "core/error.h"
#include "core/plan.h"

namespace dehvf {
namespace {

constexpr size_t kCopied = size_t(1) << 18, kLeast = 256;

class PlanBackend : public Backend {
 public:
  explicit PlanBackend(Device device) : device_(device) {}
  Device device() const override { return device_; }

  void* allocate(size_t bytes, Stream) override {
    void* const data = mmap(nullptr, std::max(bytes, kLeast), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require<OutOfMemory>(data != MAP_FAILED, "out of addresses, ", bytes, " bytes wanted, ", in_use_.load(),
                         " in use");
    const size_t now = in_use_.fetch_add(bytes) + bytes;
    for (size_t peak = peak_.load(); now > peak && !peak_.compare_exchange_weak(peak, now);) {
    }
    return data;
  }
  void free(void* data, size_t bytes, Stream) noexcept override {
    munmap(data, std::max(bytes, kLeast));
    in_use_.fetch_sub(bytes);
  }
  void* allocate_pinned(size_t bytes) override { return allocate(bytes, {}); }
  void free_pinned(void* data, size_t bytes) noexcept override { free(data, bytes, {}); }

  void copy(void* to, Device, const void* from, Device, size_t bytes, Stream) override {
    if (bytes <= kCopied) std::memcpy(to, from, bytes);
  }
  void fill_bytes(void* data, int byte, size_t bytes, Stream) override {
    if (bytes <= kCopied) std::memset(data, byte, bytes);
  }
  Stream make_stream() override { return {device_, nullptr}; }
  Event record(Stream) override { return {device_, nullptr}; }
  void wait(Stream, Event) override {}
  void synchronize(Stream) override {}
  size_t bytes_in_use() const override { return in_use_.load(); }
  size_t peak_bytes() const override { return peak_.load(); }

 private:
  const Device device_;
  std::atomic<size_t> in_use_{0}, peak_{0};
};

const Provide<BackendFactory> plan{
    DeviceKind::plan, [](const RuntimeOptions&, std::vector<std::unique_ptr<Backend>>& backends) {
      for (const Device device : {kPlan, kCpuPlan}) backends.push_back(std::make_unique<PlanBackend>(device));
    }};

}  // namespace
}  // namespace dehvf
