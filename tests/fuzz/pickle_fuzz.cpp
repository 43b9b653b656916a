// A pickle of any bytes is refused by an IoError, or gives tensors that lie inside their storages,
// and arguments.
#include <cstdlib>

#include "core/error.h"
#include "models/pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto& tensor : dehvf::parse_torch_pickle(text, "input")) {
      bool empty = false;
      auto last = __int128(tensor.offset);
      for (size_t i = 0; i < tensor.shape.size(); ++i) {
        empty |= tensor.shape[i] == 0;
        last += __int128(tensor.shape[i] - 1) * tensor.stride[i];
      }
      if (!empty && last >= __int128(tensor.storage_count)) std::abort();
    }
    dehvf::parse_torch_arguments(text, "input");
  } catch (const dehvf::IoError&) {
  }
  return 0;
}
