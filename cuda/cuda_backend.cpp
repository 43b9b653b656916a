// A GPU as a device: stream-ordered memory from a pool of its own that gives nothing back while it lives,
// pinned host memory, copies, streams and events. A context is made by the first use, not by the start of a
// program.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <limits>
#include <mutex>

#include "core/backend_factory.h"
#include "cuda/check.h"
#include "cuda/devices.h"
#include "cuda/event_pool.h"
#include "cuda/launch_site.h"
#include "cuda/pinned_pool.h"

namespace dehvf::cuda {
namespace {

constexpr int kPoison = 0xff;  // as floats of any width: NaN
constexpr size_t kStagedBytes = 1 << 20;

void* take_pinned(size_t bytes) {
  void* data = nullptr;
  if (cudaHostAlloc(&data, bytes, cudaHostAllocPortable) == cudaSuccess) return data;
  cudaGetLastError();
  return nullptr;
}

void give_pinned(void* data) { cudaFreeHost(data); }

// Recorded work, with what it needs beside the memory that others own.
class CudaGraph : public Graph {
 public:
  CudaGraph(Backend& owner, std::shared_ptr<void> memory) : owner_(owner), memory_(std::move(memory)) {}
  ~CudaGraph() override {
    cudaSetDevice(owner_.device().index);
    cudaDeviceSynchronize();  // it may be running
    if (executable_) cudaGraphExecDestroy(executable_);
    for (const auto& [data, bytes] : kept_) owner_.free_pinned(data, bytes);
  }

  // Bytes of the host as they are now, in a place that stays.
  const void* keep(const void* from, size_t bytes) {
    kept_.reserve(kept_.size() + 1);
    void* const block = owner_.allocate_pinned(bytes);
    kept_.emplace_back(block, bytes);
    return std::memcpy(block, from, bytes);
  }

  void finish(cudaStream_t stream) {
    cudaGraph_t recorded = nullptr;
    check(cudaStreamEndCapture(stream, &recorded), "record work");
    const cudaError_t status = cudaGraphInstantiate(&executable_, recorded, 0);
    cudaGraphDestroy(recorded);
    check(status, "make a graph of recorded work");
  }

  void replay(Stream stream) override {
    check(cudaSetDevice(owner_.device().index), "enter the device");
    check(cudaGraphLaunch(executable_, native(stream)), "replay recorded work");
  }

 private:
  Backend& owner_;
  std::shared_ptr<void> memory_;
  std::vector<std::pair<void*, size_t>> kept_;
  cudaGraphExec_t executable_ = nullptr;
};

class CudaBackend : public Backend {
 public:
  CudaBackend(int index, bool poison) : device_{DeviceKind::cuda, index}, poison_(poison) {}

  ~CudaBackend() override {
    if (!pool_) return;
    cudaSetDevice(device_.index);
    cudaDeviceSynchronize();
    for (const Staged& staged : staged_) pinned_.free(staged.data, staged.bytes);
    for (cudaStream_t stream : streams_) cudaStreamDestroy(stream);
    cudaMemPoolDestroy(pool_);
  }

  Device device() const override { return device_; }

  void* allocate(size_t bytes, Stream stream) override {
    enter();
    void* const data = records(stream) ? recorded_memory_.allocate(bytes) : from_pool(bytes, stream);
    if (poison_) check(cudaMemsetAsync(data, kPoison, bytes, native(stream)), "poison");
    const size_t now = in_use_.fetch_add(bytes) + bytes;
    for (size_t peak = peak_.load(); now > peak && !peak_.compare_exchange_weak(peak, now);) {
    }
    return data;
  }

  void free(void* data, size_t bytes, Stream stream) noexcept override {
    in_use_.fetch_sub(bytes);
    if (recorded_memory_.free(data)) return;
    cudaSetDevice(device_.index);
    // While work is recorded others' memory goes back beside it.
    cudaFreeAsync(data, records(stream) ? nullptr : native(stream));
  }

  void* allocate_pinned(size_t bytes) override {
    enter();
    void* const data = pinned_.allocate(bytes);
    require<CudaError>(data != nullptr, device_, ": no pinned host memory, ", bytes, " bytes wanted");
    return data;
  }

  void free_pinned(void* data, size_t bytes) noexcept override { pinned_.free(data, bytes); }

  void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes,
            Stream stream) override {
    require<DeviceError>(
        (to_device == device_ || from_device == device_) && reachable(to_device) && reachable(from_device),
        device_, " copy: from ", from_device, " to ", to_device);
    if (bytes == 0) return;
    enter();
    if (records(stream)) {
      require_recordable(to_device, bytes);
      if (from_device == kCpu) from = graph_->keep(from, bytes);
    }
    if (to_device.kind == from_device.kind && to_device != from_device) {
      check(cudaMemcpyPeerAsync(to, to_device.index, from, from_device.index, bytes, native(stream)),
            "copy between devices");
      return;
    }
    const cudaMemcpyKind kind = to_device == kCpu     ? cudaMemcpyDeviceToHost
                                : from_device == kCpu ? cudaMemcpyHostToDevice
                                                      : cudaMemcpyDeviceToDevice;
    if (kind == cudaMemcpyHostToDevice && bytes <= kStagedBytes && !records(stream))
      return stage(to, from, bytes, stream);
    check(cudaMemcpyAsync(to, from, bytes, kind, native(stream)), "copy");
  }

  void fill_bytes(void* data, int byte, size_t bytes, Stream stream) override {
    if (bytes == 0) return;
    enter();
    check(cudaMemsetAsync(data, byte, bytes, native(stream)), "fill");
  }

  Stream make_stream() override {
    enter();
    const std::scoped_lock lock(mutex_);
    streams_.reserve(streams_.size() + 1);  // so that no stream is lost
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "make a stream");
    streams_.push_back(stream);
    return {device_, stream};
  }

  Event record(Stream stream) override {
    enter();
    Event event{device_, events_->take()};
    check(cudaEventRecord(static_cast<cudaEvent_t>(event.handle.get()), native(stream)), "record an event");
    return event;
  }

  void wait(Stream stream, Event event) override {
    if (!event.handle) return;  // of the CPU: over already
    enter();
    check(cudaStreamWaitEvent(native(stream), static_cast<cudaEvent_t>(event.handle.get())),
          "wait for an event");
  }

  void synchronize(Stream stream) override {
    enter();
    check(cudaStreamSynchronize(native(stream)), "synchronize");
  }

  // With DEHVF_SYNC=1 every launch waits, which recorded ones cannot.
  bool can_capture() const override { return !waits_for_kernels(); }

  Stream begin_capture() override {
    require<DeviceError>(can_capture(), device_, ": work cannot be recorded with DEHVF_SYNC=1");
    require<DeviceError>(!graph_, device_, ": work is being recorded already");
    if (!recording_.handle) recording_ = make_stream();
    auto graph = std::make_unique<CudaGraph>(*this, recorded_memory_.hold());
    // Relaxed: other threads may allocate meanwhile.
    check(cudaStreamBeginCapture(native(recording_), cudaStreamCaptureModeRelaxed), "record work");
    graph_ = std::move(graph);
    return recording_;
  }

  std::unique_ptr<Graph> end_capture() override {
    std::unique_ptr<CudaGraph> graph = std::move(graph_);
    graph->finish(native(recording_));
    return graph;
  }

  bool records(Stream stream) const override { return graph_ && stream.handle == recording_.handle; }

  size_t bytes_in_use() const override { return in_use_.load(); }
  size_t peak_bytes() const override { return peak_.load(); }

 private:
  void* from_pool(size_t bytes, Stream stream) {
    void* data = nullptr;
    const cudaError_t status =
        cudaMallocFromPoolAsync(&data, std::max<size_t>(bytes, 1), pool_, native(stream));
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      fail<OutOfMemory>("out of memory, ", bytes, " bytes wanted, ", in_use_.load(), " in use");
    }
    check(status, "allocate");
    return data;
  }

  // A copy from ordinary memory waits for what the stream has to do. Small ones, the index tables of every
  // batch among them, go through pinned blocks, each kept until its copy is over.
  void stage(void* to, const void* from, size_t bytes, Stream stream) {
    const std::scoped_lock lock(stage_mutex_);
    while (!staged_.empty() && cudaEventQuery(native(staged_.front().read)) == cudaSuccess) {
      pinned_.free(staged_.front().data, staged_.front().bytes);
      staged_.pop_front();
    }
    cudaGetLastError();  // "not ready" is no error
    void* const block = allocate_pinned(bytes);
    std::memcpy(block, from, bytes);
    check(cudaMemcpyAsync(to, block, bytes, cudaMemcpyHostToDevice, native(stream)), "copy");
    staged_.push_back({block, bytes, record(stream)});
  }

  static cudaEvent_t native(const Event& event) { return static_cast<cudaEvent_t>(event.handle.get()); }
  static cudaStream_t native(const Stream& stream) { return cuda::native(stream); }

  static bool reachable(Device device) { return device == kCpu || device.kind == DeviceKind::cuda; }

  // Makes the device current on this thread and, once, its memory pool.
  void enter() {
    check(cudaSetDevice(device_.index), "enter the device");
    const std::scoped_lock lock(mutex_);
    if (pool_) return;
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;  // the only type there is
    properties.location = {cudaMemLocationTypeDevice, device_.index};
    cudaMemPool_t pool = nullptr;
    check(cudaMemPoolCreate(&pool, &properties), "make a memory pool");
    uint64_t keep = std::numeric_limits<uint64_t>::max();
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep), "keep freed memory");
    pool_ = pool;
  }

  struct Staged {
    void* data;
    size_t bytes;
    Event read;
  };

  Device device_;
  bool poison_;
  std::mutex mutex_;
  cudaMemPool_t pool_ = nullptr;
  std::vector<cudaStream_t> streams_;
  PinnedPool pinned_{take_pinned, give_pinned};
  std::shared_ptr<EventPool> events_ = std::make_shared<EventPool>();
  std::mutex stage_mutex_;
  std::deque<Staged> staged_;
  std::atomic<size_t> in_use_{0}, peak_{0};
  Stream recording_;  // where work is recorded while there is a graph_
  std::unique_ptr<CudaGraph> graph_;
  Arena recorded_memory_ = recorded_arena([this](size_t bytes) { return from_pool(bytes, {}); },
                                          [this](void* data, size_t) {
                                            cudaSetDevice(device_.index);
                                            cudaFreeAsync(data, nullptr);
                                          });
};

const Provide<BackendFactory> cuda_devices{
    DeviceKind::cuda, [](const RuntimeOptions& options, std::vector<std::unique_ptr<Backend>>& backends) {
      int count = 0;
      count_devices(count);
      for (int i = 0; i < count; ++i)
        if (missing_feature(i).empty()) backends.push_back(std::make_unique<CudaBackend>(i, options.poison));
    }};

}  // namespace
}  // namespace dehvf::cuda
