// Who holds a device's memory: every allocation is booked under the purpose of the scope that it is made in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

#include "core/error.h"

namespace dehvf {

/// What a kernel allocates while it runs is a workspace; what nobody names otherwise are activations.
/// Recorded work (Graph) has one piece of memory for all of these.
enum class Purpose : uint8_t { weights, parameters, activations, workspaces, caches, recorded };
inline constexpr size_t kPurposes = 6;

std::string_view name_of(Purpose purpose);

/// Allocations of this thread are for `purpose` until the scope ends.
class PurposeScope {
 public:
  explicit PurposeScope(Purpose purpose);
  ~PurposeScope();
  PurposeScope(const PurposeScope&) = delete;
  PurposeScope& operator=(const PurposeScope&) = delete;
  static Purpose current();

 private:
  Purpose previous_;
};

struct OutOfMemory : DeviceError {
  using DeviceError::DeviceError;
};

/// The books of one device.
class MemoryLedger {
 public:
  using Table = std::array<size_t, kPurposes>;  // bytes by purpose

  void add(Purpose purpose, size_t bytes);
  void remove(Purpose purpose, size_t bytes) noexcept;
  Table now() const;
  Table at_peak() const;  // when most was held in all
  void forget_peak();     // what is held now is the most

  /// Throws OutOfMemory when `bytes` more would exceed the limit.
  void admit(size_t bytes) const;
  void set_limit(size_t bytes) { limit_ = bytes; }  // 0, the beginning: none

 private:
  mutable std::mutex mutex_;
  Table now_{}, at_peak_{};
  size_t held_ = 0, peak_ = 0, limit_ = 0;
};

/// "weights 1.2 GiB, activations 3.4 MiB", the largest first, what is empty left out.
std::string describe(const MemoryLedger::Table& table);

}  // namespace dehvf
