#include "core/memory.h"

#include <algorithm>
#include <numeric>

namespace dehvf {
namespace {

thread_local Purpose current_purpose = Purpose::activations;

constexpr std::array<std::string_view, kPurposes> kNames{"weights",    "parameters", "activations",
                                                         "workspaces", "caches",     "recorded work"};

std::string amount(size_t bytes) {
  constexpr std::array<std::string_view, 4> kUnits{"B", "KiB", "MiB", "GiB"};
  size_t unit = 0, scale = 1;
  while (unit + 1 < kUnits.size() && bytes / scale >= 1024) ++unit, scale *= 1024;
  const size_t tenths = (bytes % scale) * 10 / scale;
  return concat(bytes / scale, unit == 0 ? "" : concat('.', tenths), ' ', kUnits[unit]);
}

}  // namespace

std::string_view name_of(Purpose purpose) { return kNames[size_t(purpose)]; }

PurposeScope::PurposeScope(Purpose purpose) : previous_(current_purpose) { current_purpose = purpose; }
PurposeScope::~PurposeScope() { current_purpose = previous_; }
Purpose PurposeScope::current() { return current_purpose; }

void MemoryLedger::add(Purpose purpose, size_t bytes) {
  const std::scoped_lock lock(mutex_);
  now_[size_t(purpose)] += bytes;
  held_ += bytes;
  if (held_ <= peak_) return;
  peak_ = held_;
  at_peak_ = now_;
}

void MemoryLedger::remove(Purpose purpose, size_t bytes) noexcept {
  const std::scoped_lock lock(mutex_);
  now_[size_t(purpose)] -= bytes;
  held_ -= bytes;
}

MemoryLedger::Table MemoryLedger::now() const {
  const std::scoped_lock lock(mutex_);
  return now_;
}

MemoryLedger::Table MemoryLedger::at_peak() const {
  const std::scoped_lock lock(mutex_);
  return at_peak_;
}

void MemoryLedger::forget_peak() {
  const std::scoped_lock lock(mutex_);
  peak_ = held_;
  at_peak_ = now_;
}

void MemoryLedger::admit(size_t bytes) const {
  const std::scoped_lock lock(mutex_);
  require<OutOfMemory>(limit_ == 0 || held_ + bytes <= limit_, "out of memory, ", bytes, " bytes wanted, ",
                       held_, " of ", limit_, " in use");
}

std::string describe(const MemoryLedger::Table& table) {
  std::array<size_t, kPurposes> order;
  std::iota(order.begin(), order.end(), size_t(0));
  std::ranges::stable_sort(order, std::greater{}, [&](size_t i) { return table[i]; });
  std::string text;
  for (size_t i : order)
    if (table[i] > 0) text += concat(text.empty() ? "" : ", ", name_of(Purpose(i)), ' ', amount(table[i]));
  return text.empty() ? "nothing" : text;
}

}  // namespace dehvf
