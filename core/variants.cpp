#include "core/variants.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <vector>

#include "core/io/json.h"

namespace dehvf {
namespace {

constexpr std::array<std::string_view, 2> kVendors{"cublaslt", "cudnn"};
// Slots whose own kernel was measured right and faster than the vendor's (docs/gpu_evidence.md).
constexpr std::array<std::string_view, 0> kOwnFirst{};

struct Notes {
  std::mutex mutex;
  std::vector<std::string> lines;
};

Notes& notes() {
  static Notes instance;
  return instance;
}

std::string listed(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += concat(text.empty() ? "" : ", ", name.empty() ? "own" : name);
  return text;
}

}  // namespace

std::map<std::string, void (*)(const std::string& variant)>& kernel_slots() {
  static std::map<std::string, void (*)(const std::string& variant)> slots;
  return slots;
}

int rank_of_variant(std::string_view slot, std::string_view variant, std::string_view chosen) {
  const bool vendor = std::ranges::find(kVendors, variant) != kVendors.end();
  const bool own_first = std::ranges::find(kOwnFirst, slot) != kOwnFirst.end();
  if (!chosen.empty() && variant == (chosen == "own" ? "" : chosen)) return 0;
  if (vendor) return own_first ? 3 : 1;
  return variant.empty() ? 2 : 4;
}

void choose_variant(const std::string& slot, const std::string& variant) {
  std::set<std::string> slots, variants;
  for (const auto& [name, key] : kernel_catalog()) {
    slots.insert(name);
    if (name == slot) variants.insert(key.variant);
  }
  if (!slots.contains(slot)) {
    const std::string near = nearest(slot, std::vector(slots.begin(), slots.end()));
    fail<ConfigError>("kernels: no slot '", slot, "'", near.empty() ? "" : "; did you mean '" + near + "'?",
                      " Known: ", listed(slots));
  }
  require<ConfigError>(variant == "own" || variants.contains(variant), "kernels.", slot, ": no variant '",
                       variant, "'; known here: ", listed(variants));
  kernel_slots().at(slot)(variant);
}

std::vector<std::string> take_kernel_notes() {
  const std::scoped_lock lock(notes().mutex);
  return std::exchange(notes().lines, {});
}

void add_kernel_note(std::string note) {
  const std::scoped_lock lock(notes().mutex);
  notes().lines.push_back(std::move(note));
}

}  // namespace dehvf
