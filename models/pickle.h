// The pickled dictionary of a torch checkpoint, read without executing anything: a small set of opcodes, and
// of globals only those that dictionaries of tensors need. All else is refused by name.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"

namespace dehvf {

/// A tensor as the pickle describes it: a strided view of a storage, which is a member of the archive.
struct TorchTensor {
  std::string name;  // keys of nested dictionaries joined by dots
  DType dtype = DType::f32;
  std::string storage;         // its key
  uint64_t storage_count = 0;  // elements in it
  uint64_t offset = 0;         // elements in front of the first one used
  std::vector<int64_t> shape, stride;
};

constexpr uint64_t kPickleLimit = 16 << 20;  // bytes

/// The tensors of a pickled dictionary, in its order; other values are passed over. Every view is checked to
/// stay inside its storage and to have no more elements than it. Throws IoError "<what>: ...", for a global
/// that is not allowed with its name. Memory is bounded by a small multiple of the text.
std::vector<TorchTensor> parse_torch_pickle(std::string_view text, std::string_view what);

/// The numbers, flags and words of an argparse.Namespace under the key `args`, as text; empty without one.
std::map<std::string, std::string> parse_torch_arguments(std::string_view text, std::string_view what);

}  // namespace dehvf
