// A JPEG of any bytes is decoded or refused by an Error.
#include <cstdlib>

#include "core/error.h"
#include "data/jpeg.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const dehvf::Image image =
        dehvf::decode_jpeg(std::string_view(reinterpret_cast<const char*>(data), size), "input");
    if (image.rgb.size() != size_t(3) * size_t(image.width) * size_t(image.height)) std::abort();
  } catch (const dehvf::Error&) {
  }
  return 0;
}
