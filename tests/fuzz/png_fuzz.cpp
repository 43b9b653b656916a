// A PNG of any bytes is decoded, as colours and with alpha, or refused by an Error; what was decoded survives
// being encoded.
#include <cstdlib>

#include <zlib.h>

#include "core/error.h"
#include "data/png.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// Puts the sums of all chunks right after a mutation, else hardly any would pass the first.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned) {
  size = LLVMFuzzerMutate(data, size, max_size);
  for (size_t at = 8; at + 12 <= size;) {
    const size_t bytes = size_t(data[at]) << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3];
    if (bytes > size - at - 12) break;
    const uLong sum = crc32(0, data + at + 4, uInt(bytes + 4));
    for (int i = 0; i < 4; ++i) data[at + 8 + bytes + i] = uint8_t(sum >> (24 - 8 * i));
    at += bytes + 12;
  }
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try {
    const dehvf::RgbaImage rgba = dehvf::decode_png_rgba(input, "input");
    if (rgba.rgba.size() != size_t(4) * size_t(rgba.width) * size_t(rgba.height)) std::abort();
  } catch (const dehvf::Error&) {
  }
  try {
    const dehvf::Image image = dehvf::decode_png(input, "input");
    if (image.rgb.size() != size_t(3) * size_t(image.width) * size_t(image.height)) std::abort();
    if (image.rgb.size() > 1 << 16) return 0;  // encoding would only take time
    if (dehvf::decode_png(dehvf::encode_png(image), "own").rgb != image.rgb) std::abort();
  } catch (const dehvf::Error&) {
  }
  return 0;
}
