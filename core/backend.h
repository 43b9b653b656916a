// What a device can do with bytes: allocate, copy, order work on streams. One Backend per device, owned by
// the Runtime, which main() makes first and which dies last (GPU handles in globals are what crashes at
// exit).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "core/arena.h"
#include "core/device.h"
#include "core/memory.h"

namespace dehvf {

/// A queue of work, owned by the backend that made it, and a mark in it, which goes back to its backend with
/// the last copy of the handle. The CPU runs in line and uses none.
struct Stream {
  Device device;
  void* handle = nullptr;
};
struct Event {
  Device device;
  std::shared_ptr<void> handle;
};

/// Work that a stream recorded instead of doing it. It names memory by address: what it reads and writes
/// beside its own must still be there, in place, when it is done.
class Graph {
 public:
  virtual ~Graph() = default;
  virtual void replay(Stream stream) = 0;  // queues all of it
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual Device device() const = 0;
  virtual void* allocate(size_t bytes,
                         Stream stream) = 0;  // aligned to 256; throws OutOfMemory
  virtual void free(void* data, size_t bytes, Stream stream) noexcept = 0;
  virtual void* allocate_pinned(
      size_t bytes) = 0;  // host memory that the device can copy from asynchronously
  virtual void free_pinned(void* data,
                           size_t bytes) noexcept = 0;  // after the copies from and to it are over
  virtual void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes,
                    Stream) = 0;
  virtual void fill_bytes(void* data, int byte, size_t bytes, Stream stream) = 0;
  virtual Stream make_stream() = 0;
  virtual Event record(Stream stream) = 0;
  virtual void wait(Stream stream,
                    Event event) = 0;           // work queued on `stream` from now on runs after `event`
  virtual void synchronize(Stream stream) = 0;  // blocks the calling thread
  /// Whether streams of this device can record (capture(), below).
  virtual bool can_capture() const { return false; }
  /// A stream that records what is queued on it, up to end_capture(); one at a time. Memory allocated there
  /// belongs to all recorded graphs of the device together, of which one may run at a time. Copies from the
  /// host keep what they copy as it is now; those to the host are refused.
  virtual Stream begin_capture();
  virtual std::unique_ptr<Graph> end_capture();
  virtual bool records(Stream) const { return false; }
  virtual size_t bytes_in_use() const = 0;
  virtual size_t peak_bytes() const = 0;
  MemoryLedger& memory() { return memory_; }  // kept by Storage

 protected:
  /// Throws DeviceError for a copy to the host, whose value a recording cannot have.
  void require_recordable(Device to, size_t bytes) const;
  /// The memory of recorded work, out of chunks that `take` and `give` handle, and booked as such.
  Arena recorded_arena(Arena::Take take, Arena::Give give);

 private:
  MemoryLedger memory_;
};

struct RuntimeOptions {
  int threads = 0;      // CPU threads; 0 takes what the machine has. Results never depend on it
  bool poison = false;  // tests: new memory is filled with NaN, that of the CPU fenced as well
};

/// Owns the backends. Exactly one lives at a time.
class Runtime {
 public:
  explicit Runtime(RuntimeOptions options = {});
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

 private:
  std::vector<std::unique_ptr<Backend>> backends_;
};

Backend& backend(Device device);  // throws DeviceError when the device is absent, saying what is there
bool has_device(Device device);
/// What a user named; "auto" is the first GPU, or the CPU where there is none. Throws ConfigError, with what
/// was found instead, for a device that is not here.
Device chosen_device(std::string_view name);
Stream current_stream(Device device);  // the stream on which ops of this thread run
int64_t damaged_fences();  // with RuntimeOptions::poison: allocations written outside their bounds

/// Makes `stream` current on this thread until the scope ends.
class StreamScope {
 public:
  explicit StreamScope(Stream stream);
  ~StreamScope();
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

 private:
  Stream previous_;
};

/// The work that `body` queues for the device, recorded. Throws DeviceError where can_capture() is false.
std::unique_ptr<Graph> capture(Device device, const std::function<void()>& body);

}  // namespace dehvf
