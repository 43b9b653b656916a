// Things that provide themselves: a tag names a key and an entry type, and every file that offers an entry
// holds a Provide object. The same template serves kernels, backends and fusion operators.
#pragma once

#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "core/device.h"
#include "core/error.h"

namespace dehvf {

template <class Tag>
class Registry {
 public:
  using Key = typename Tag::Key;
  using Entry = typename Tag::Entry;

  static Registry& instance() {
    static Registry registry;
    return registry;
  }

  void provide(const Key& key, Entry entry) {
    require<Error>(entries_.emplace(key, std::move(entry)).second, Tag::name, ": provided twice for ", key);
  }

  /// Throws ConfigError listing the known keys.
  const Entry& find(const Key& key) const {
    const auto found = entries_.find(key);
    if (found != entries_.end()) return found->second;
    std::string known;
    for (const auto& [other, entry] : entries_) known += concat(known.empty() ? "" : ", ", other);
    fail<ConfigError>(Tag::name, ": nothing provided for ", key, "; known: ", known.empty() ? "none" : known);
  }

  std::vector<Key> keys() const {
    std::vector<Key> keys;
    for (const auto& [key, entry] : entries_) keys.push_back(key);
    return keys;
  }

 private:
  std::map<Key, Entry> entries_;
};

template <class Tag>
struct Provide {
  Provide(const typename Tag::Key& key, typename Tag::Entry entry) {
    Registry<Tag>::instance().provide(key, std::move(entry));
    if constexpr (requires { Tag::cataloged(key); }) Tag::cataloged(key);
  }
};

/// Which kernel: the device's own one (variant "") or a named alternative such as cublaslt.
struct KernelKey {
  DeviceKind device;
  std::string variant = "";
  friend auto operator<=>(const KernelKey&, const KernelKey&) = default;
  friend std::ostream& operator<<(std::ostream& out, const KernelKey& key) {
    out << key.device;
    return key.variant.empty() ? out : out << '/' << key.variant;
  }
};

/// Every kernel that was provided: (tag name, key). Tests hold it against what a device must have.
std::vector<std::pair<std::string, KernelKey>>& kernel_catalog();

}  // namespace dehvf
