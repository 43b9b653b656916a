// The CPU as a device: memory from the C library, everything in line.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

#include <malloc.h>

#include "core/backend_factory.h"
#include "core/error.h"

namespace dehvf {
namespace {

constexpr size_t kAlign = 256, kFence = 256;
constexpr int kPoison = 0xff;               // as floats of any width: NaN
constexpr unsigned char kFenceByte = 0xff;  // so that reading beyond an input gives NaN
std::atomic<int64_t> damaged{0};

class CpuBackend : public Backend {
 public:
  explicit CpuBackend(bool poison) : poison_(poison) {
    // Activations come and go every step: keep their pages instead of asking the kernel for zeroed ones each
    // time.
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
  }

  Device device() const override { return kCpu; }

  void* allocate(size_t bytes, Stream) override {
    const size_t fence = poison_ ? kFence : 0;
    const size_t padded = (bytes + kAlign - 1) / kAlign * kAlign + 2 * fence;
    auto* const block = static_cast<unsigned char*>(std::aligned_alloc(kAlign, std::max(padded, kAlign)));
    require<OutOfMemory>(block != nullptr, "out of memory, ", bytes, " bytes wanted, ", in_use_.load(),
                         " in use");
    if (poison_) {
      std::memset(block, kFenceByte, padded);
      std::memset(block + fence, kPoison, bytes);
    }
    const size_t now = in_use_.fetch_add(bytes) + bytes;
    for (size_t peak = peak_.load(); now > peak && !peak_.compare_exchange_weak(peak, now);) {
    }
    return block + fence;
  }

  void free(void* data, size_t bytes, Stream) noexcept override {
    auto* block = static_cast<unsigned char*>(data);
    if (poison_) {
      const auto intact = [](const unsigned char* begin, const unsigned char* end) {
        return std::all_of(begin, end, [](unsigned char b) { return b == kFenceByte; });
      };
      const size_t padded = (bytes + kAlign - 1) / kAlign * kAlign;
      if (!intact(block - kFence, block) || !intact(block + bytes, block + padded + kFence)) ++damaged;
      block -= kFence;
    }
    in_use_.fetch_sub(bytes);
    std::free(block);
  }

  void* allocate_pinned(size_t bytes) override { return allocate(bytes, {}); }
  void free_pinned(void* data, size_t bytes) noexcept override { free(data, bytes, {}); }

  void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes, Stream) override {
    require<DeviceError>(to_device == kCpu && from_device == kCpu, "cpu copy: from ", from_device, " to ",
                         to_device);
    std::memcpy(to, from, bytes);
  }

  void fill_bytes(void* data, int byte, size_t bytes, Stream) override { std::memset(data, byte, bytes); }
  Stream make_stream() override { return {kCpu, nullptr}; }
  Event record(Stream) override { return {kCpu, nullptr}; }
  void wait(Stream, Event) override {}
  void synchronize(Stream) override {}
  size_t bytes_in_use() const override { return in_use_.load(); }
  size_t peak_bytes() const override { return peak_.load(); }

 private:
  bool poison_;
  std::atomic<size_t> in_use_{0}, peak_{0};
};

const Provide<BackendFactory> cpu{
    DeviceKind::cpu, [](const RuntimeOptions& options, std::vector<std::unique_ptr<Backend>>& backends) {
      backends.push_back(std::make_unique<CpuBackend>(options.poison));
    }};

}  // namespace

int64_t damaged_fences() { return damaged.load(); }

}  // namespace dehvf
