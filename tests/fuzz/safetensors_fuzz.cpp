// A safetensors header of any bytes is refused by an IoError, or its tensors cover the data without hole or
// overlap. Input: 2 bytes of data size, then the header.
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "models/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint16_t data_bytes;
  if (size < sizeof data_bytes) return 0;
  std::memcpy(&data_bytes, data, sizeof data_bytes);
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  try {
    uint64_t covered = 0;
    for (const auto& info : dehvf::parse_safetensors_header(text, data_bytes, "input").tensors) {
      if (info.begin != covered || info.end < info.begin || info.shape.size() > 8) std::abort();
      covered = info.end;
    }
    if (covered != data_bytes) std::abort();
  } catch (const dehvf::IoError&) {
  }
  return 0;
}
