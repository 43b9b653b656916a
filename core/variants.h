// Which variant of a kernel answers: the one chosen for its slot, else a vendor's where it is provided and
// takes the arguments, else our own. What a variant cannot do goes to the next one, which is noted once.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/registry.h"

namespace dehvf {

/// Prefers `variant` for `slot` (a kernel's name) on every device that has it. While no kernel runs. Throws
/// ConfigError with the known slots, or the known variants of the slot.
void choose_variant(const std::string& slot, const std::string& variant);

/// What the user should know of choices since the last call, one line each.
std::vector<std::string> take_kernel_notes();
void add_kernel_note(std::string note);

/// Smaller is asked first. `chosen` may be empty.
int rank_of_variant(std::string_view slot, std::string_view variant, std::string_view chosen);

/// A kernel and what it takes; without `supports` that is everything that the op admits.
template <class Signature>
struct KernelEntry;
template <class... Args>
struct KernelEntry<void(Args...)> {
  using Run = void (*)(Args...);
  using Supports = bool (*)(Args...);
  KernelEntry(Run run, Supports supports = nullptr) : run(run), supports(supports) {}
  template <std::convertible_to<Run> F>
  KernelEntry(F run, Supports supports = nullptr) : run(run), supports(supports) {}
  void operator()(Args... args) const { run(args...); }
  bool takes(Args... args) const { return !supports || supports(args...); }
  Run run;
  Supports supports;
};

template <class Tag>
class Variants {
 public:
  struct Candidate {
    std::string name;
    typename Tag::Entry kernel;
    bool noted = false;
  };

  static void prefer(const std::string& chosen) { table() = build(chosen); }

  /// The kernel that answers these arguments. Throws ConfigError where none does.
  template <class... Args>
  static const typename Tag::Entry& choose(DeviceKind device, Args&... args) {
    auto& candidates = table().at(size_t(device));
    for (Candidate& candidate : candidates) {
      if (!candidate.kernel.takes(args...)) continue;
      if (&candidate != &candidates.front() && !std::exchange(candidate.noted, true))
        add_kernel_note(concat(Tag::name, " on ", device, ": variant ", shown(candidates.front()),
                               " does not take some shapes; ", shown(candidate), " answers those"));
      return candidate.kernel;
    }
    if (candidates.empty()) return Registry<Tag>::instance().find({device});  // throws, naming what there is
    fail<ConfigError>(Tag::name, " on ", device, ": none of its variants takes these shapes");
  }

 private:
  using Table = std::array<std::vector<Candidate>,
                           kDeviceKinds>;  // by device kind, in the order in which they are asked

  static std::string shown(const Candidate& candidate) {
    return candidate.name.empty() ? "the default" : candidate.name;
  }

  static Table& table() {
    static Table instance = build("");
    return instance;
  }

  static Table build(const std::string& chosen) {
    Table built;
    const auto& registry = Registry<Tag>::instance();
    for (const KernelKey& key : registry.keys())
      built.at(size_t(key.device)).push_back({key.variant, registry.find(key)});
    for (auto& candidates : built)
      std::ranges::stable_sort(candidates, {}, [&](const Candidate& candidate) {
        return rank_of_variant(Tag::name, candidate.name, chosen);
      });
    return built;
  }
};

/// Slot -> what makes it prefer a variant.
std::map<std::string, void (*)(const std::string& variant)>& kernel_slots();

template <class Derived, class Signature>
struct KernelTag {
  using Key = KernelKey;
  using Entry = KernelEntry<Signature>;
  static void cataloged(const Key& key) {
    kernel_catalog().emplace_back(Derived::name, key);
    kernel_slots()[std::string(Derived::name)] = Variants<Derived>::prefer;
  }
};

}  // namespace dehvf
