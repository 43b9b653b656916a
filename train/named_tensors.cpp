#include "train/named_tensors.h"

#include <algorithm>
#include <memory>

#include <xxhash.h>

#include "core/io/file.h"

namespace dehvf {
namespace {

constexpr size_t kListed = 50;

std::string listed(const char* what, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  std::string text = concat("; ", names.size(), " ", what, ": ");
  for (size_t i = 0; i < std::min(names.size(), kListed); ++i) text += (i ? ", " : "") + names[i];
  return names.size() > kListed ? text + ", ..." : text;
}

}  // namespace

std::string checksum(std::string_view text, const NamedTensors& tensors) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  XXH3_64bits_reset(state.get());
  XXH3_64bits_update(state.get(), text.data(), text.size());
  for (const auto& [name, tensor] : tensors) {
    const std::string head = concat('\n', name, ' ', tensor.dtype(), ' ', tensor.shape(), '\n');
    XXH3_64bits_update(state.get(), head.data(), head.size());
    const Tensor local = tensor.to(kCpu);
    XXH3_64bits_update(state.get(), local.raw(), local.bytes());
  }
  std::string hex(16, '0');
  uint64_t hash = XXH3_64bits_digest(state.get());
  for (size_t i = 16; i-- > 0; hash >>= 4) hex[i] = "0123456789abcdef"[hash & 15];
  return hex;
}

NamedTensors load_all(const SafetensorsFile& file) {
  std::vector<std::string> names = file.names();
  std::ranges::sort(names);
  NamedTensors tensors;
  for (const std::string& name : names) tensors.emplace_back(name, file.load(name));
  return tensors;
}

void require_same_tensors(const std::string& what, const NamedTensors& found, const NamedShapes& wanted,
                          DType dtype) {
  std::vector<std::string> missing, extra, wrong;
  auto have = found.begin();
  for (const auto& [name, shape] : wanted) {
    for (; have != found.end() && have->first < name; ++have) extra.push_back(printable(have->first));
    if (have == found.end() || have->first != name) {
      missing.push_back(printable(name));
      continue;
    }
    const Tensor& other = have++->second;
    if (other.shape() != shape || other.dtype() != dtype)
      wrong.push_back(concat(printable(name), " (wanted ", dtype, " ", shape, ", found ", other.dtype(), " ",
                             other.shape(), ")"));
  }
  for (; have != found.end(); ++have) extra.push_back(printable(have->first));
  if (!missing.empty() || !extra.empty() || !wrong.empty())
    fail<ConfigError>(what, ": does not fit this model", listed("missing", missing),
                      listed("not known here", extra), listed("of another shape or dtype", wrong));
}

}  // namespace dehvf
